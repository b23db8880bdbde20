// Shows the result of a login. Text of the address is only shown as text; nothing is stored or sent.

const query = new URLSearchParams(location.search);
const element = (id) => document.getElementById(id);
const show = (id, text) => {
  element(id).textContent = text;
  element(id).hidden = false;
};

if (query.has("code") && query.has("state")) {
  const callback = {
    provider: "google",
    code: query.get("code"),
    state: query.get("state"),
    redirect_uri: location.origin + location.pathname,
  };
  show("text", "Paste this into POST /v1/auth/callback in Swagger UI. It works once, and for ten minutes:");
  show("body", JSON.stringify(callback, null, 2));
  element("copy").hidden = false;
  element("next").hidden = false;
  element("copy").addEventListener("click", async () => {
    await navigator.clipboard.writeText(element("body").textContent);
    show("copy", "Copied");
  });
} else if (query.has("error")) {
  show("title", "The provider refused");
  show("text", [query.get("error"), query.get("error_description")].filter(Boolean).join(": "));
} else {
  show("title", "No login yet");
  show("text", "A login started by POST /v1/auth/login returns to this page.");
}
