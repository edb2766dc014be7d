// Passkeys: the browser makes and shows them; without them the other ways on the page do.
const able = window.PublicKeyCredential && navigator.credentials;
const token = document.body.dataset.csrf;

const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const words = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function options(url) {
  const answer = await fetch(url, { method: "POST", headers: { "X-CSRFToken": token } });
  if (!answer.ok || answer.redirected) throw new Error(answer.status);
  const found = await answer.json();
  found.challenge = bytes(found.challenge);
  if (found.user) found.user.id = bytes(found.user.id);
  for (const list of [found.excludeCredentials, found.allowCredentials]) for (const one of list || []) one.id = bytes(one.id);
  return found;
}

function written(key) {
  const part = { id: key.id, rawId: words(key.rawId), type: key.type, response: { clientDataJSON: words(key.response.clientDataJSON) } };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (key.response[name]) part.response[name] = words(key.response[name]);
  }
  return JSON.stringify(part);
}

function on(form, act) {
  form.hidden = !able;
  form.addEventListener("submit", async (event) => {
    if (form.dataset.ready) return;
    event.preventDefault();
    const failed = form.querySelector("[data-passkey-failed]");
    failed.hidden = true;
    try { await act(form); } catch (_) { failed.hidden = false; }
  });
}

if (able) document.querySelectorAll("[data-passkey-none]").forEach((node) => { node.hidden = true; });
document.querySelectorAll("form[data-passkey-make]").forEach((form) => on(form, async () => {
  const key = await navigator.credentials.create({ publicKey: await options(form.dataset.passkeyMake) });
  const data = new FormData(form);
  data.set("answer", written(key));
  const kept = await fetch(form.dataset.passkeyKeep, { method: "POST", body: data });
  if (!kept.ok) throw new Error(kept.status);
  location.href = (await kept.json()).next;
}));
document.querySelectorAll("form[data-passkey-show]").forEach((form) => on(form, async () => {
  const key = await navigator.credentials.get({ publicKey: await options(form.dataset.passkeyShow) });
  form.elements.answer.value = written(key);
  form.dataset.ready = "1";
  form.requestSubmit();
}));
