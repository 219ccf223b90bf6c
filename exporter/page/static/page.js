// SPDX-License-Identifier: Apache-2.0
//
// Keeps the page current, and adds what HTML alone cannot: filter, order, and
// details over the table. The server writes every word; this asks it for the same
// page again and puts what changed in its place. No string becomes markup here:
// nodes come from DOMParser, in whose documents no script runs.

const period = 5_000; // ms from an answer to the next question
const patience = 10_000; // for an answer

const byId = (id) => document.getElementById(id);
const here = location.pathname; // of the page itself; the query is the script's

// --- Live: ask again, and change what changed.

let tag = ""; // of the answer shown
let skew = 0; // ms the server's clock is ahead of this one
let answered = Date.now();
let trouble = ""; // with asking

async function ask(address, known) {
  const answer = await fetch(address, {
    headers: known ? { "If-None-Match": known } : {},
    cache: "no-store",
    signal: AbortSignal.timeout(patience),
  });
  const date = Date.parse(answer.headers.get("Date"));
  if (date) skew = date - Date.now();
  if (answer.status === 304) return { tag: known };
  // The page of a listener that has gone says so, and is a page.
  if (!answer.ok && answer.status !== 404) throw Object.assign(new Error("no page"), { status: answer.status });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { page, tag: answer.headers.get("ETag") };
}

async function refresh() {
  try {
    const { page, tag: now } = await ask(here, tag);
    tag = now;
    if (page) {
      if (document.querySelector("[data-reload]")) return location.reload();
      update(page);
      if (state.open) await refreshDetails();
    }
    answered = Date.now();
    trouble = "";
  } catch (err) {
    const what = err.status ? `answers ${err.status}` : "does not answer";
    trouble = `The agent ${what}: nothing new for ${seconds(Date.now() - answered)}. This is what it said last.`;
  }
  tick();
}

let timer;

async function poll() {
  clearTimeout(timer);
  if (document.hidden) return;
  await refresh();
  clearTimeout(timer);
  timer = setTimeout(poll, period);
}

const seconds = (ms) => (ms < 120_000 ? `${Math.max(0, Math.floor(ms / 1000))} s` : `${Math.floor(ms / 60_000)} min`);

// tick tells how old the page is, and what is wrong with that.
function tick() {
  const status = byId("status");
  const age = byId("time") ? Date.now() + skew - Date.parse(byId("time").dateTime) : 0;
  if (byId("age")) byId("age").textContent = `${seconds(age)} ago`;
  const text = trouble || (age > 1_000 * status.dataset.staleSeconds ? status.dataset.stale : "");
  if (status.textContent !== text) status.textContent = text;
}

// update takes over every live part of a newer page.
function update(page) {
  const focused = document.activeElement;
  for (const part of document.querySelectorAll("[data-live]")) {
    if (part.closest("dialog")) continue;
    const newer = page.getElementById(part.id);
    if (newer) morph(part, newer);
  }
  document.title = page.title;
  remember(); // morph has put the rows into the server's order
  arrange();
  tick();
  keepFocus(focused);
}

// What a reader has set is not the server's to change.
const own = new Set(["open", "hidden"]);

// Blank text between elements is left alone.
const solid = (node) => node?.nodeType !== Node.TEXT_NODE || node.data.trim() !== "";

const skipBlank = (node) => {
  while (node && !solid(node)) node = node.nextSibling;
  return node;
};

// morph makes an element like a newer one. What has an id, and what did not change,
// stays the same object, so that focus, selection and scroll stay, too.
function morph(old, newer) {
  if (old.isEqualNode(newer)) return;
  for (const { name } of [...old.attributes]) {
    if (!newer.hasAttribute(name) && !own.has(name)) old.removeAttribute(name);
  }
  for (const { name, value } of newer.attributes) {
    if (!own.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const wanted = new Set([...newer.children].map((e) => e.id));
  const known = new Map();
  for (const e of [...old.children]) {
    if (!e.id) continue;
    if (wanted.has(e.id)) known.set(e.id, e);
    else e.remove();
  }
  let at = skipBlank(old.firstChild);
  for (const child of [...newer.childNodes].filter(solid)) {
    const match = child.id ? known.get(child.id) : at && !at.id && at.nodeName === child.nodeName ? at : null;
    if (!match) {
      old.insertBefore(document.importNode(child, true), at);
      continue;
    }
    if (match === at) at = skipBlank(at.nextSibling);
    else old.insertBefore(match, at);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, child);
    else if (match.data !== child.data) match.data = child.data;
  }
  while (at) {
    const next = skipBlank(at.nextSibling);
    at.remove();
    at = next;
  }
}

// A moved element loses the focus.
function keepFocus(element) {
  if (element?.isConnected && element !== document.activeElement) element.focus({ preventScroll: true });
}

// --- State: it is in the address, so that a link can be sent.

const state = { q: "", problems: false, order: "worst", down: false, open: "" };
const columns = new Map(); // how to order by: name to its heading and place

function readState() {
  const query = new URLSearchParams(location.search);
  const [order, way] = (query.get("order") ?? "").split("-");
  const open = query.get("open") ?? "";
  state.q = query.get("q") ?? "";
  state.problems = query.has("problems");
  state.order = columns.has(order) ? order : "worst";
  state.down = way === "down";
  state.open = /^\d+\/[0-9a-f]{16}$/.test(open) ? open : "";
}

// writeState makes a step of the browser's history only where Back should lead.
function writeState(step) {
  const query = new URLSearchParams();
  if (state.q) query.set("q", state.q);
  if (state.problems) query.set("problems", "");
  if (state.order !== "worst" || state.down) query.set("order", state.order + (state.down ? "-down" : ""));
  if (state.open) query.set("open", state.open);
  const address = here + (query.size ? `?${query}` : "");
  if (step) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

// --- Table: filter and order.

const collator = new Intl.Collator("en", { numeric: true });
const rank = new WeakMap(); // of a row, as the server has it: the worst first

function keyOf(row, column) {
  if (column === "worst") return rank.get(row);
  const cell = row.cells[columns.get(column).at];
  if (!("key" in cell.dataset)) return cell.textContent;
  return cell.dataset.key === "-" ? -1 : Number(cell.dataset.key);
}

function fits(row, words) {
  if (state.problems && !("problem" in row.dataset)) return false;
  const text = words.length ? row.textContent.toLowerCase() : "";
  return words.every((word) => text.includes(word));
}

// arrange shows the rows that were asked for, in the order that was.
function arrange() {
  const body = byId("rows");
  if (!body) return;
  const rows = [...body.rows];
  const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const keys = new Map(rows.map((row) => [row, keyOf(row, state.order)]));
  const compare = (a, b) => {
    const [x, y] = [keys.get(a), keys.get(b)];
    const order = typeof x === "string" ? collator.compare(x, y) : x - y;
    return (state.down ? -order : order) || rank.get(a) - rank.get(b);
  };
  let shown = 0;
  let at = body.firstElementChild;
  for (const row of rows.sort(compare)) {
    row.hidden = !fits(row, words);
    if (!row.hidden) shown++;
    if (row === at) at = at.nextElementSibling;
    else body.insertBefore(row, at);
  }
  const text = shown < rows.length ? `${shown} shown` : "";
  if (byId("shown").textContent !== text) byId("shown").textContent = text;
  byId("none").hidden = shown > 0 || rows.length === 0;
  for (const [name, { heading }] of columns) {
    if (name === state.order) heading.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else heading.removeAttribute("aria-sort");
  }
}

function remember() {
  [...(byId("rows")?.rows ?? [])].forEach((row, i) => rank.set(row, i));
}

function startTable() {
  for (const heading of document.querySelectorAll("th[data-sort]")) {
    const name = heading.dataset.sort;
    columns.set(name, { heading, at: heading.cellIndex });
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => order(name));
    byId("order").append(new Option(heading.textContent, name));
  }
  byId("tools").hidden = false;
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  byId("filter").addEventListener("input", () => change({ q: byId("filter").value }));
  byId("problems").addEventListener("change", () => change({ problems: byId("problems").checked }));
  byId("order").addEventListener("change", () => order(byId("order").value));
  byId("clear").addEventListener("click", () => {
    change({ q: "", problems: false });
    byId("filter").focus();
  });
  byId("rows").addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    const link = row?.querySelector("a");
    const foreign = event.metaKey || event.ctrlKey || event.shiftKey || event.target.closest("a") === null && !getSelection().isCollapsed;
    if (!link || foreign) return;
    event.preventDefault();
    open(row.id.slice(2));
  });
}

// order by a column: numbers begin with the greatest; once more turns round.
function order(name) {
  const again = name === state.order;
  change({ order: name, down: again ? !state.down : "down" in columns.get(name).heading.dataset });
}

function change(what) {
  Object.assign(state, what);
  writeState(false);
  show();
}

function show() {
  byId("filter").value = state.q;
  byId("problems").checked = state.problems;
  byId("order").value = state.order;
  const focused = document.activeElement;
  arrange();
  keepFocus(focused);
}

// --- Details: the listener's own page, over the table.

function open(id) {
  state.open = id;
  writeState(true);
  showDetails();
}

async function showDetails() {
  const dialog = byId("dialog");
  if (!state.open) {
    if (dialog.open) dialog.close();
    return;
  }
  const wanted = state.open;
  try {
    const { page } = await ask(`listener/${wanted}`);
    if (state.open !== wanted) return;
    const article = document.importNode(page.getElementById("listener"), true);
    dialog.querySelector("article")?.remove();
    dialog.append(article);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
    article.querySelector("h2").focus();
  } catch {
    location.assign(`listener/${wanted}`); // the browser says what is wrong
  }
}

async function refreshDetails() {
  const wanted = state.open;
  const { page } = await ask(`listener/${wanted}`);
  const article = byId("listener");
  if (state.open === wanted && article) morph(article, page.getElementById("listener"));
}

function startDetails() {
  const dialog = byId("dialog");
  byId("close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => {
    if (!state.open) return; // Back closed it
    state.open = "";
    writeState(true);
  });
}

// --- Begin.

remember();
if (byId("rows")) {
  startTable();
  startDetails();
  const restore = () => {
    readState();
    show();
    showDetails();
  };
  addEventListener("popstate", restore);
  restore();
}
tick();
setInterval(tick, 1_000);
document.addEventListener("visibilitychange", poll);
timer = setTimeout(poll, period);
