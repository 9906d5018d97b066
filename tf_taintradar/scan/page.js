"use strict";
const grid = document.getElementById("cards"), all = [...grid.children];
const [find, verdict, label, order] =
  ["find", "verdict", "label", "order"].map(id => document.getElementById(id));
const count = document.getElementById("count"), dialog = document.querySelector("dialog");
const orders = {
  score: (a, b) => a.dataset.rank - b.dataset.rank,
  least: (a, b) => b.dataset.rank - a.dataset.rank,
  path: (a, b) => a.dataset.path.localeCompare(b.dataset.path, undefined, {numeric: true}),
  label: (a, b) => a.dataset.label.localeCompare(b.dataset.label, undefined, {numeric: true})
    || a.dataset.rank - b.dataset.rank,
};
const shown = () => [...grid.children].filter(card => !card.hidden);
function update() {
  const words = find.value.toLowerCase().split(/\s+/);
  for (const card of all) {
    const text = `${card.textContent} ${card.dataset.path}`.toLowerCase();
    card.hidden = !(words.every(word => text.includes(word))
      && (!verdict.value || card.dataset.verdict === verdict.value)
      && (!label.value || card.dataset.label === label.value));
  }
  count.textContent = shown().length + " of " + all.length + " images";
}
function sort() { grid.append(...all.sort(orders[order.value])); }
function columns(cards) {
  const top = cards[0].offsetTop;
  const n = cards.findIndex(card => card.offsetTop !== top);
  return n < 0 ? cards.length : n;
}
let opened = null;
function open(card) {
  opened = card;
  dialog.querySelector(".shown").replaceChildren(card.querySelector(".picture").cloneNode(true));
  dialog.querySelector(".told").innerHTML = card.querySelector("template").innerHTML;
  if (!dialog.open) dialog.showModal();
}
grid.addEventListener("click", event => {
  const card = event.target.closest("figure");
  if (card) open(card);
});
grid.addEventListener("keydown", event => {
  const cards = shown(), at = cards.indexOf(document.activeElement);
  if (at < 0) return;
  if (event.key === "Enter" || event.key === " ") {
    open(cards[at]);
    event.preventDefault();
    return;
  }
  const steps = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns(cards), ArrowDown: columns(cards),
    Home: -at, End: cards.length - 1 - at};
  if (event.key in steps) {
    cards[Math.min(Math.max(at + steps[event.key], 0), cards.length - 1)].focus();
    event.preventDefault();
  }
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && !dialog.open && document.activeElement !== find) {
    find.focus(); event.preventDefault();
  }
});
dialog.addEventListener("keydown", event => {
  const cards = shown(), step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  const next = step && cards[cards.indexOf(opened) + step];
  if (next) open(next);
});
dialog.addEventListener("close", () => opened.focus());
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
document.querySelector("form").addEventListener("submit", event => event.preventDefault());
find.addEventListener("input", update);
verdict.addEventListener("change", update);
label.addEventListener("change", update);
order.addEventListener("change", sort);
update();
