"""The certificate of destruction as a page to print: complete in itself, without the platform's styles."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

from bihuan.kernel.refused import Refused

_PAGE = """<!doctype html>
<html lang="zh-CN"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>个人信息销毁证明</title>
<style>
body{{font:12pt/1.6 "Noto Serif CJK SC","Songti SC",serif;max-width:180mm;margin:15mm auto;padding:0 5mm;color:#111;background:#fff}}
h1{{font-size:20pt;text-align:center;margin:0 0 2mm}}h2{{font-size:13pt;margin:8mm 0 2mm}}
.en{{font-size:10pt;color:#444}}.note{{border:1px solid #111;padding:2mm 4mm;margin:5mm 0}}
table{{border-collapse:collapse;width:100%}}th,td{{border:1px solid #888;padding:1mm 2mm;text-align:left;vertical-align:top}}
td.n{{text-align:right;font-variant-numeric:tabular-nums}}code{{font:9pt/1.4 monospace;overflow-wrap:anywhere}}
.sign{{display:flex;flex-wrap:wrap;gap:8mm;margin-top:15mm}}.sign div{{flex:1 1 60mm;border-top:1px solid #111;padding-top:1mm}}
@media print{{body{{margin:0}}tr{{break-inside:avoid}}}}
</style></head><body>
<h1>个人信息销毁证明</h1>
<p class="en" lang="en" style="text-align:center">Certificate of the destruction of personal data, no. {number}</p>
<p class="note">{status}</p>
<table>{about}</table>
<h2>销毁了什么 <span class="en" lang="en">what was destroyed</span></h2>
<table><tr><th>数据表 <span class="en">table</span></th><th>行数 <span class="en">rows</span></th></tr>{destroyed}</table>
<h2>留下了什么 <span class="en" lang="en">what remains</span></h2>
<p>留下的只有：每条办理记录的校验值（没有盐值，不能还原）、按天的数目、本证明。账仍然平，封存链仍然完好。
<span class="en" lang="en">Only the hashes of records (their salts are gone), the sums below, and this certificate remain.</span></p>
<table><tr><th>日期</th><th>新增 <span class="en">opened</span></th><th>移交 <span class="en">moved</span></th>
<th>办结 <span class="en">closed</span></th></tr>{days}</table>
<h2>核对用的校验值 <span class="en" lang="en">hashes</span></h2>
<table>{hashes}</table>
{data}
<div class="sign"><div>提出 asked：{asked}</div><div>签字 signed：{signed}</div><div>监督 witness：</div></div>
</body></html>
"""


def _rows(pairs: list[tuple[str, str]], number: bool = False, code: bool = False) -> str:
    cell = "<td class=n>{}</td>" if number else "<td><code>{}</code></td>" if code else "<td>{}</td>"
    return "".join(f"<tr><th>{escape(name)}</th>{cell.format(escape(value))}</tr>" for name, value in pairs)


_DATA, _END = '<script type="application/json">', "</script>"


def read(path: Path) -> dict[str, Any] | None:
    """The certificate in a file: JSON, or a page as `page` makes it. None: a page that says something else than the certificate in it.

    Refuses (`certificate_unreadable`) what is neither.
    """
    try:
        text = path.read_text("utf-8")
        said = json.loads(text.split(_DATA, 1)[1].split(_END, 1)[0] if _DATA in text else text)
        said = said["certificate"] if "genuine" in said else said  # as the command itself prints it
        if not isinstance(said, dict) or "sha256" not in said:
            raise ValueError("it is something else")
        return said if _DATA not in text or text in (page(said, final=True), page(said, final=False)) else None
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise Refused(
            "certificate_unreadable",
            f"{path.name} 不是销毁证明：要 event certificate --html 写的网页，或 --json 的输出。",
            f"{path.name} is no certificate: give the page that event certificate --html wrote, or the output of --json.",
            path.name,
        ) from error


def page(of: dict[str, Any], *, final: bool) -> str:
    """HTML of a certificate as `loops.ending` wrote it. `final`: no backup can have the data any more."""
    gone = of["backups_gone_on"]
    status = (
        f"数据和密钥已于 {of['certified_at']} 销毁；最后一份含有它们的备份已于 {gone} 前过期。本证明已生效。"
        f" Data and keys were destroyed; the last backup that had them was out of age on {gone}."
        if final
        else f"数据和密钥已于 {of['certified_at']} 销毁；含有它们的备份到 {gone} 全部过期，本证明自该日起生效。"
        f" Data and keys are destroyed; the certificate is final on {gone}, when the last backup that had them is out of age."
    )

    def signer(who: dict[str, str]) -> str:
        return escape(f"{who['name']}（{who['unit']}） {who['at']}")

    about = [
        ("事件 event", f"{of['name']}（{of['event']}，{of['disease']}）"), ("起止 from, to", f"{of['opened_on']} — {of['ended_on']}"),
        ("依据 legal basis", of["legal_basis"]), ("保存天数 days kept", str(of["retention_days"])), ("原因 reason", of["reason"]),
        ("开始 begun", of["begun_at"]), ("完成 done", of["certified_at"]),
    ]  # fmt: skip
    ledger = of["ledger"]
    hashes = [
        ("本证明 certificate (SHA-256)", of["sha256"]), ("封存链尾 head of the chain", ledger["head"]),
        ("已销毁记录的位置 positions", f"{ledger['records']}: {ledger['positions']}"), ("统计数 sums", ledger["sums"]),
        *((name, value) for name, value in of["hashes"].items()), ("签名密钥 key", of["key"]), ("签名 signature", of["signature"]),
    ]  # fmt: skip
    days = "".join(
        f"<tr><td>{escape(d['day'])}</td><td class=n>{d['opened']}</td><td class=n>{d['moved']}</td><td class=n>{d['closed']}</td></tr>"
        for d in of["movements_by_day"]
    )
    return _PAGE.format(
        number=of["number"], status=escape(status), about=_rows(about), days=days, hashes=_rows(hashes, code=True),
        destroyed=_rows([(table, f"{n:,}") for table, n in of["destroyed"].items() if n], number=True), asked=signer(of["asked"]),
        signed=signer(of["signed"]), data=_DATA + json.dumps(of).replace("<", "\\u003c") + _END,
    )  # fmt: skip
