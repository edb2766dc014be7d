"""One day's seals as one number, for the duty log: short enough to be written by hand and signed."""

from __future__ import annotations

import base64
import dataclasses
from datetime import date, timedelta
from html import escape

from bihuan.kernel import clock
from bihuan.ledger import heads, seals
from bihuan.ledger.models import Seal


@dataclasses.dataclass(frozen=True)
class Day:
    """`root`: the Merkle root of the chain values of the day's seals in their order; so no seal of the day can change.

    `signature`: Ed25519 over the text `bihuan-day`, the day, the root and the last chain value.
    """

    on: date
    n_seals: int
    n_facts: int
    first: str
    last: str
    root: bytes
    chain: bytes
    signature: bytes
    fingerprint: str

    def lines(self) -> list[str]:
        return [
            f"{self.on}  封存 {self.n_seals} 次，办理记录 {self.n_facts} 条（{self.first or '—'} 至 {self.last or '—'}）"
            f" / {self.n_seals} seals, {self.n_facts} records",
            f"当日总值 / root of the day  {_grouped(self.root)}",
            f"链尾 / head                 {_grouped(self.chain)}",
            f"公钥指纹 / key              {self.fingerprint}",
        ]

    def as_json(self) -> dict:
        return {
            "day": self.on, "n_seals": self.n_seals, "n_facts": self.n_facts, "first": self.first, "last": self.last,
            "root": self.root.hex(), "chain": self.chain.hex(), "signature": base64.b64encode(self.signature).decode(),
            "fingerprint": self.fingerprint,
        }  # fmt: skip


def _grouped(value: bytes) -> str:
    text = value.hex()
    return " ".join(text[at : at + 8] for at in range(0, len(text), 8))


def of(on: date) -> Day:
    """The day (Asia/Shanghai) by the times of its seals."""
    begins = clock.day_start(on)
    rows = list(
        Seal.objects.filter(sealed_at__gte=begins, sealed_at__lt=clock.day_start(on + timedelta(days=1)))
        .order_by("epoch", "no")
        .values_list("epoch", "no", "n_facts", "chain")
    )
    chains = [bytes(chain) for *_, chain in rows]
    root = seals.root_of(chains)
    chain = chains[-1] if chains else b""
    return Day(
        on=on, n_seals=len(rows), n_facts=sum(n for _, _, n, _ in rows), first=f"{rows[0][0]}/{rows[0][1]}" if rows else "",
        last=f"{rows[-1][0]}/{rows[-1][1]}" if rows else "", root=root, chain=chain,
        signature=heads.signing_key().sign(f"bihuan-day\n{on}\n{root.hex()}\n{chain.hex()}".encode()), fingerprint=heads.fingerprint(),
    )  # fmt: skip


_PAGE = """<!doctype html>
<html lang="zh-CN"><meta charset="utf-8"><title>{title}</title>
<style>body{{font:14pt/1.6 serif;margin:25mm}}h1{{font-size:18pt}}pre{{font:12pt/1.6 monospace;white-space:pre-wrap}}
p.sign{{margin-top:25mm}}</style>
<h1>{title}</h1>
<pre>{lines}</pre>
<p>以上数值由系统算出。抄写或粘贴于值班日志，由带班领导签字；日后任何一条办理记录被改动，重算的总值就与此不同。</p>
<p lang="en">Computed by the system, kept on paper: if any record of this day is changed later, the root will differ from this one.</p>
<p class="sign">值班员 / on duty ＿＿＿＿＿＿＿＿　　带班领导 / duty leader ＿＿＿＿＿＿＿＿　　时间 / time ＿＿＿＿＿＿＿＿</p>
</html>
"""


def html(day: Day) -> str:
    """A page to print; complete in itself."""
    return _PAGE.format(title=escape(f"{day.on} 办理记录封存总值 / seals of the day"), lines=escape("\n".join(day.lines())))
