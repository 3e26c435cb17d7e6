// What a page does by itself: bring its figures up to date, follow events, search while one types. All of it can be read
// without.
"use strict";

const texts = document.body.dataset;
const news = document.getElementById("news");
let newsTimer = 0;

function tell(text, stays) {
  clearTimeout(newsTimer);
  news.textContent = text;
  if (!stays) newsTimer = setTimeout(() => { news.textContent = ""; }, 4000);
}

// One stream of a page. It is let go while nobody looks at the page, so that many open tabs do not use up the browser's
// connections, and taken up again where it was.
function follow(address, kinds) {
  let source = null, lost = false, timer = 0;
  function open() {
    close();
    source = new EventSource(address());
    source.onopen = () => { if (lost) { lost = false; tell(texts.back); } };
    source.onerror = () => {
      if (!lost) { lost = true; tell(texts.lost, true); }
      // The browser tries again by itself, but not after an answer that was no stream.
      if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, 1000);
    };
    for (const [kind, take] of Object.entries(kinds)) source.addEventListener(kind, take);
  }
  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = null;
  }
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else open(); });
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
  if (!document.hidden) open();
}

function parsed(html) { return new DOMParser().parseFromString(html, "text/html"); }

// Figures: when the data is another, the page is fetched anew and its content put in place.
function freshen() {
  let running = false, again = false;
  async function fetchAnew() {
    if (running) { again = true; return; }
    running = true;
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      const found = answer.ok && parsed(await answer.text());
      const fresh = found && found.getElementById("fresh");
      if (fresh) put(found, fresh);
    } catch { again = true; }
    setTimeout(() => { running = false; if (again) { again = false; fetchAnew(); } }, 400);
  }
  function put(found, fresh) {
    const old = document.getElementById("fresh");
    const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
    const typed = focused && document.activeElement.value;
    for (const details of old.querySelectorAll("details[open][id]")) {
      const same = fresh.querySelector("#" + CSS.escape(details.id));
      if (same) same.open = true;
    }
    old.replaceWith(fresh);
    const tab = document.getElementById("tab-attention"), newTab = found.getElementById("tab-attention");
    if (tab && newTab) tab.textContent = newTab.textContent;
    const back = focused && document.getElementById(focused);
    if (back) { back.focus({ preventScroll: true }); if (typed !== undefined && "value" in back) back.value = typed; }
    offerCopies(fresh);
    tell(texts.refreshed);
  }
  const stream = document.getElementById("fresh").dataset.changes;
  follow(() => stream, {
    data: (event) => { if (event.data !== document.getElementById("fresh").dataset.reference) fetchAnew(); },
  });
}

// A chart that does not come leaves its place to its numbers.
function numbersInstead(image) {
  const table = document.getElementById("points");
  if (table && image.matches("img.chart")) table.open = true;
}

// Events: each comes as a row made by the server, and its id is where to go on.
function watch(table) {
  const rows = document.getElementById("events");
  let after = table.dataset.after;
  document.getElementById("following").hidden = false;
  document.getElementById("not-following").hidden = true;
  function take(event) { after = event.lastEventId || after; }
  follow(() => { const to = new URL(table.dataset.stream, location.href); to.searchParams.set("after", after); return to; }, {
    bookmark: take,
    progress: (event) => {
      take(event);
      const row = parsed("<table><tbody>" + event.data + "</tbody></table>").querySelector("tr");
      row.classList.add("new");
      const none = document.getElementById("none");
      if (none) none.remove();
      rows.prepend(row);
      while (rows.children.length > 500) rows.lastElementChild.remove();
      tell(row.children[1].textContent + ": " + row.children[2].textContent);
      setTimeout(() => row.classList.remove("new"), 4000);
    },
    expired: () => { location.href = table.dataset.stream.replace("/live/events", "/live") + (table.dataset.stream.includes("?") ? "&" : "?") + "afresh=1"; },
  });
}

// Search: the list follows what is typed; the address does too.
function search(field) {
  const form = field.form;
  let timer = 0, latest = 0;
  async function look() {
    const wanted = new URLSearchParams();
    for (const [name, value] of new FormData(form)) if (value && !(name === "sort" && value === "number")) wanted.append(name, value);
    const address = form.getAttribute("action") + (String(wanted) ? "?" + wanted : "");
    const mine = ++latest;
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    const found = parsed(await answer.text()).getElementById("results");
    if (mine !== latest || !found) return;
    document.getElementById("results").replaceWith(found);
    history.replaceState(null, "", address);
    tell(document.getElementById("found").textContent);
  }
  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => look().catch(() => {}), 150); });
  form.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); look().catch(() => form.submit()); });
}

function offerCopies(root) {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      tell(texts.copied);
    });
  }
}

const live = document.getElementById("live"), fresh = document.getElementById("fresh"), field = document.querySelector("[data-search]");
if (live) watch(live);
if (fresh) { offerCopies(fresh); freshen(); }
if (field) search(field);
addEventListener("error", (event) => { if (event.target instanceof HTMLImageElement) numbersInstead(event.target); }, true);
for (const image of document.images) if (image.complete && !image.naturalWidth) numbersInstead(image);
