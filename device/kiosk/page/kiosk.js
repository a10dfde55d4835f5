// The page shows whatever the last "state" event says, and nothing else: it
// keeps no state of its own but which result is looked at, how the heatmap is
// laid over it, and whether the service page is open.
"use strict";

const $ = (id) => document.getElementById(id);
const silence = 15000; // ms without a beat after which the box counts as lost
const lookBack = 90000; // ms after which an earlier result, or the service page, gives way to the latest
const patience = 700; // ms that an X-ray may be in hand before the page says that another one is shown

let state = null; // of the last event
let at = 0; // which result is shown; the latest, as long as nobody looks at another
let shown = null; // key of the result on the screen; "" when there is none
let heat = true;
let source = null;
let heard = 0;
let idle = 0;
let busy = 0;

// Connection

function connect() {
  if (source) source.close();
  source = new EventSource("/events");
  heard = performance.now();
  source.addEventListener("state", (event) => {
    hear();
    const before = state ? key(latest()) : "";
    const mine = state && at !== latest() ? key(at) : ""; // what somebody looks at
    const page = state ? state.page : "";
    state = JSON.parse(event.data);
    if (page && page !== state.page) {
      location.reload(); // the box has a newer page
      return;
    }
    const still = state.results.findIndex((r) => r.key === mine);
    at = still >= 0 && key(latest()) === before ? still : latest();
    render();
  });
  source.addEventListener("beat", hear);
  source.onerror = lose;
}

// latest is the result that somebody waits for: the newest, but for files that
// are no X-rays, which must not take an answer from the screen.
function latest() {
  return Math.max(0, state.results.findIndex((r) => !r.foreign));
}

function key(i) {
  return i < state.results.length ? state.results[i].key : "";
}

function hear() {
  heard = performance.now();
  $("lost").hidden = true;
  document.body.classList.remove("lost");
}

function lose() {
  $("lost").hidden = false;
  document.body.classList.add("lost");
  $("room").dataset.state = "lost";
  $("word").textContent = "Not connected";
  workingFor(false);
}

setInterval(() => {
  // The browser reconnects after most errors by itself; not after an answer
  // that is no stream, and it never notices a box that hangs.
  if (source.readyState === EventSource.CLOSED || performance.now() - heard > silence) {
    lose();
    connect();
  }
}, 2000);

// Drawing

function render() {
  const room = state.room;
  $("room").dataset.state = room.state;
  $("word").textContent = room.word;
  $("trouble").hidden = !room.trouble;
  $("trouble").textContent = unbroken(room.trouble || "");
  $("notice").hidden = !room.notice;
  $("notice").textContent = unbroken(room.notice || "");
  $("facts").replaceChildren(...room.facts.map((f) => element("li", f.wait ? "wait" : "", f.text)));
  workingFor(room.busy && state.results.length > 0);
  document.body.classList.toggle("empty", state.results.length === 0);
  if (state.results.length) {
    renderResult(state.results[at]);
  } else {
    renderResult({ key: "", outcome: "none", headline: "No X-ray yet", sentence: "Waiting for the first X-ray on the share." });
  }
  renderRecent();
  renderService(room.service);
}

// While an X-ray is in hand, the one before stands on the screen: nobody may
// take its answer for the next one's. Most are read too fast for a word.
function workingFor(working) {
  if (!working) {
    clearTimeout(busy);
    busy = 0;
    $("next").hidden = true;
  } else if (!busy) {
    busy = setTimeout(() => ($("next").hidden = false), patience);
  }
}

function renderResult(r) {
  document.querySelector(".answer").dataset.outcome = r.outcome;
  const now = state.results.length ? latest() : 0;
  $("earlier").hidden = at === now;
  $("which").textContent = at === now ? "" : `${at < now ? "No X-ray" : "Earlier result"}, ${at + 1} of ${state.results.length}`;
  if (r.key === shown) return;
  shown = r.key;
  $("headline").textContent = unbroken(r.headline);
  $("percent").hidden = !r.percent;
  $("percent").firstElementChild.textContent = r.percent || "";
  $("sentence").hidden = !r.sentence;
  $("sentence").textContent = unbroken(r.sentence || "");
  const readers = r.readers || [];
  $("readers").classList.toggle("two", readers.length > 1);
  $("readers").replaceChildren(...readers.map((one) => reader(one, readers.length > 1)));
  $("when").hidden = !r.key;
  $("when").firstElementChild.textContent = r.key ? clock(r.finished) : "";
  $("again").hidden = !r.again;
  $("again").textContent = r.again ? `The same file came again at ${clock(r.again)}. This is its answer.` : "";
  $("about").textContent = r.key ? about(r) : "";
  renderAge();
  renderFilms(r);
}

// One picture, or one for each reader that says where it looked.
function renderFilms(r) {
  const maps = (r.readers || []).filter((one) => one.map);
  const two = maps.length > 1;
  $("screen2").hidden = !two;
  for (const n of [1, 2]) {
    const one = maps[n - 1];
    const wanted = n === 1 || two;
    load($("picture" + n), wanted ? r.picture : "", r.key);
    load($("overlay" + n), wanted && one ? one.map : "", r.key);
    $("picture" + n).alt = r.picture ? `X-ray of the image ${r.id}` : "";
    $("caption" + n).hidden = !two;
    $("caption" + n).replaceChildren(...(two ? [`${one.model} `, element("b", "", `${one.label} ${one.percent}`)] : []));
  }
  $("nothing").hidden = Boolean(r.picture) || r.outcome === "none";
  $("controls").hidden = maps.length === 0;
}

// A picture is hidden until it is there, so that the one before never stands
// beside another one's answer; the heatmap until both are.
function load(image, address, key) {
  image.dataset.ready = "";
  image.onload = () => {
    if (key !== shown) return;
    image.dataset.ready = key;
    reveal();
  };
  if (address) {
    image.src = address;
  } else {
    image.removeAttribute("src");
  }
  reveal();
}

function reveal() {
  for (const n of [1, 2]) {
    const picture = $("picture" + n);
    const overlay = $("overlay" + n);
    const there = Boolean(shown) && picture.dataset.ready === shown;
    if (there) $("film" + n).style.setProperty("--ratio", picture.naturalWidth / picture.naturalHeight);
    picture.hidden = !there;
    overlay.hidden = !(there && heat && overlay.dataset.ready === shown);
  }
}

function about(r) {
  const parts = [`image ${r.id}`];
  if (r.file) parts.push(`file ${r.file}`);
  if (r.models && r.models.length && (r.readers || []).length < 2) parts.push(r.models.join(" and "));
  if (r.code) parts.push(r.code);
  return parts.join(" · ");
}

function reader(one, several) {
  const item = element("li");
  if (several) item.append(element("h3", "", one.model));
  const classes = element("div", "classes");
  for (const c of one.classes) {
    const mine = c.label === one.label ? " mine" : "";
    const fill = element("div", "fill");
    fill.style.width = `${100 * c.probability}%`;
    const track = element("div", "track" + mine);
    track.append(fill);
    classes.append(element("span", mine, c.label), track, element("span", "value" + mine, c.percent));
  }
  item.append(classes);
  return item;
}

function renderRecent() {
  const list = $("recent");
  const focused = list.contains(document.activeElement);
  list.replaceChildren(...state.results.map((r, i) => {
    const button = element("button", r.outcome);
    button.type = "button";
    button.tabIndex = i === at ? 0 : -1; // the arrow keys do the rest
    const came = r.again || r.finished;
    const time = element("time", "", brief(came));
    time.dateTime = came;
    button.append(time, element("span", "what", r.headline), element("span", "value", r.percent || r.code || ""));
    if (i === at) button.setAttribute("aria-current", "true");
    button.onclick = () => look(i);
    const item = element("li");
    item.append(button);
    return item;
  }));
  const current = list.querySelector("[aria-current]");
  if (!current) return;
  // The list is made anew at each event; whoever stands in it by keyboard stays.
  if (focused) current.focus({ preventScroll: true });
  current.parentElement.scrollIntoView({ block: "nearest" });
}

function renderService(groups) {
  $("service").replaceChildren(...groups.map((group) => {
    const section = element("section");
    const list = element("dl");
    for (const line of group.lines) {
      const entry = element("div", line.wait ? "wait" : "");
      const parts = line.text ? [unbroken(line.text)] : [];
      if (line.time) parts.push(clock(line.time), age(line.time));
      entry.append(element("dt", "", line.name), element("dd", "", parts.join(", ")));
      list.append(entry);
    }
    section.append(element("h2", "", group.title), list);
    return section;
  }));
}

function element(name, className, text) {
  const e = document.createElement(name);
  if (className) e.className = className.trim();
  if (text) e.textContent = text;
  return e;
}

// unbroken keeps "X-" from standing alone at a line's end.
function unbroken(text) {
  return text.replaceAll("X-ray", "X\u2060-\u2060ray");
}

// clock says the time of day, and the day when it is not today.
function clock(time) {
  const t = new Date(time);
  const day = t.toDateString() === new Date().toDateString() ? "" : t.toLocaleDateString("en-GB", { day: "numeric", month: "short" }) + " ";
  return day + t.toLocaleTimeString("en-GB");
}

// brief says the time of day, or the day when it is longer ago than one.
function brief(time) {
  const t = new Date(time);
  return Date.now() - t < 86400000 ? t.toLocaleTimeString("en-GB") : t.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

// age says how long ago a time was: an answer that has stood for an hour is not
// that of the patient who just lay down.
function age(time) {
  const minutes = Math.floor((Date.now() - new Date(time)) / 60000);
  if (minutes < 1) return "just now";
  if (minutes < 120) return `${minutes} min ago`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} hours ago` : `${Math.floor(hours / 24)} days ago`;
}

function renderAge() {
  $("age").textContent = state && state.results.length ? age(state.results[at].finished) : "";
}
setInterval(() => {
  if (!state) return;
  renderAge();
  renderService(state.room.service);
}, 5000);

// Hands

function look(i) {
  if (!state || !state.results.length) return;
  turn(false);
  at = Math.max(0, Math.min(i, state.results.length - 1));
  render();
  rest();
}

// turn opens or closes the service page.
function turn(open) {
  $("service").hidden = !open;
  $("results").hidden = open;
  $("facts").hidden = open; // they stand on the service page
  $("turn").setAttribute("aria-pressed", String(open));
  $("turn").lastChild.data = open ? " Results" : " Service";
  rest();
}

// rest brings the latest result back when nobody has touched anything for a while.
function rest() {
  clearTimeout(idle);
  const away = state && state.results.length && at !== latest();
  if (away || !$("service").hidden) idle = setTimeout(() => {
    turn(false);
    look(latest());
  }, lookBack);
}

function setOpacity(percent) {
  const value = Math.max(0, Math.min(100, percent));
  $("opacity").value = value;
  $("percentage").textContent = `${value} %`;
  for (const n of [1, 2]) $("overlay" + n).style.opacity = value / 100;
}

function setHeat(on) {
  heat = on;
  $("toggle").setAttribute("aria-pressed", String(on));
  reveal();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const step = {
    h: () => setHeat(!heat),
    s: () => turn($("service").hidden),
    Escape: () => turn(false),
    ArrowLeft: () => setOpacity(Number($("opacity").value) - 5),
    ArrowRight: () => setOpacity(Number($("opacity").value) + 5),
    ArrowUp: () => ($("service").hidden ? look(at - 1) : $("service").scrollBy(0, -100)),
    ArrowDown: () => ($("service").hidden ? look(at + 1) : $("service").scrollBy(0, 100)),
    Home: () => look(latest()),
    End: () => look(Infinity),
  }[key];
  if (/^[0-9]$/.test(key)) {
    setHeat(true);
    setOpacity(10 * Number(key));
  } else if (step) {
    event.preventDefault(); // or a focused slider would move a second time
    step();
  }
});
$("opacity").addEventListener("input", (event) => setOpacity(Number(event.target.value)));
$("toggle").addEventListener("click", () => setHeat(!heat));
$("latest").addEventListener("click", () => look(latest()));
$("turn").addEventListener("click", () => turn($("service").hidden));

setOpacity(60);
connect();
