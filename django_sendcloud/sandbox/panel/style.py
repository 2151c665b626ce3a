"""Style of the panel, and the script that keeps its pages up to date."""

from __future__ import annotations

from typing import Final

__all__ = ["SCRIPT", "STYLE"]

STYLE: Final = """
:root { color-scheme: light dark;
  --ground: light-dark(#f5f6f8, #14171c); --card: light-dark(#fff, #1d2128); --line: light-dark(#dde1e7, #343a45);
  --text: light-dark(#1c2430, #e6e9ee); --quiet: light-dark(#5a6575, #9aa5b5); --accent: light-dark(#0a5bd3, #6aa9ff);
  --good: light-dark(#0f7b3d, #58c98a); --bad: light-dark(#b3261e, #ff8a80); --busy: light-dark(#8a5a00, #f0b95a); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
a { color: var(--accent); }
header { background: var(--card); border-bottom: 1px solid var(--line); }
header > div, main, .note { max-width: 1180px; margin: 0 auto; padding: 0 20px; }
header > div { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 24px; }
.brand { font-weight: 650; padding: 14px 0; color: var(--text); text-decoration: none; white-space: nowrap; }
.brand small { color: var(--quiet); font-weight: 400; }
nav { display: flex; gap: 4px; overflow-x: auto; }
nav a { padding: 14px 10px 12px; color: var(--quiet); text-decoration: none; white-space: nowrap;
  border-bottom: 2px solid transparent; }
nav a:hover { color: var(--text); }
nav a[aria-current] { color: var(--text); border-color: var(--accent); }
main { padding-top: 24px; padding-bottom: 60px; }
h1 { font-size: 22px; margin: 0 0 16px; overflow-wrap: anywhere; }
h2 { font-size: 16px; margin: 0 0 12px; }
.top { display: flex; flex-wrap: wrap; gap: 4px 12px; justify-content: space-between; align-items: center;
  margin-bottom: 14px; }
.top h1, .top h2 { margin: 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 18px; margin: 0 0 18px; }
.card.flush { padding: 0; overflow-x: auto; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 0 18px;
  align-items: start; }
.note { margin-top: 16px; }
.note p { margin: 0; padding: 10px 14px; border: 1px solid var(--accent); border-radius: 8px; background: var(--card); }
.quiet { color: var(--quiet); }
.empty { padding: 36px 18px; text-align: center; color: var(--quiet); }
.warning { border-color: var(--busy); }
table { width: 100%; border-collapse: collapse; }
th { text-align: left; font-weight: 550; font-size: 13px; color: var(--quiet); white-space: nowrap; }
th, td { padding: 9px 14px; border-bottom: 1px solid var(--line); vertical-align: middle; }
td { max-width: 16em; overflow-wrap: break-word; }
td button, td a { white-space: nowrap; }
td a { display: inline-block; max-width: 14em; overflow: hidden; text-overflow: ellipsis; vertical-align: bottom; }
tbody tr:last-child td { border-bottom: 0; }
dl { display: grid; grid-template-columns: minmax(120px, max-content) 1fr; gap: 5px 16px; margin: 0; }
dt { color: var(--quiet); }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
code, pre { font: 13px/1.5 ui-monospace, monospace; }
pre { margin: 0; padding: 12px; overflow: auto; max-height: 480px; background: var(--ground); border-radius: 8px; }
.badge { display: inline-block; margin: 2px 0; padding: 1px 9px; border-radius: 99px; border: 1px solid currentColor;
  font-size: 13px; white-space: nowrap; color: var(--quiet); }
.badge.good { color: var(--good); } .badge.bad { color: var(--bad); } .badge.busy { color: var(--busy); }
form { display: inline; }
form.fields { display: grid; gap: 12px; }
.actions { display: flex; flex-wrap: wrap; gap: 10px; align-items: end; }
.actions form { display: flex; flex-wrap: wrap; gap: 8px; align-items: end; min-width: 0; }
.actions form:has(select) { flex: 1; flex-wrap: nowrap; }
.actions form:has(select) label, form.fields .actions label { flex: 1; }
.card .columns { gap: 18px; }
.columns > div > p:first-child { margin-top: 0; }
.actions + .actions, h2 + .actions, pre + .actions { margin-top: 12px; }
label { display: grid; gap: 3px; min-width: 0; font-size: 13px; color: var(--quiet); }
label input, label select { font-size: 15px; color: var(--text); }
label.check { display: flex; gap: 8px; align-items: center; font-size: 15px; color: var(--text); }
input, select, button { font: inherit; color: inherit; border: 1px solid var(--line); border-radius: 7px;
  background: var(--ground); padding: 7px 11px; min-height: 38px; max-width: 100%; }
input[type=checkbox] { flex: none; min-height: 0; width: 18px; height: 18px; margin: 0; }
input[type=number] { width: 96px; }
form.fields input:not([type=checkbox]), form.fields select { width: 100%; }
select { width: 100%; }
button { cursor: pointer; background: var(--card); }
td button { min-height: 30px; padding: 2px 10px; }
button:hover { border-color: var(--accent); }
button.main { background: var(--accent); border-color: var(--accent); color: light-dark(#fff, #10151d);
  font-weight: 550; }
button.danger { color: var(--bad); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
ol.timeline { list-style: none; margin: 0; padding: 0 0 0 18px; border-left: 2px solid var(--line); }
ol.timeline li { position: relative; padding-bottom: 12px; }
ol.timeline li::before { content: ""; position: absolute; left: -24px; top: 7px; width: 10px; height: 10px;
  border-radius: 50%; background: var(--line); }
ol.timeline li:first-child::before { background: var(--accent); }
ol.timeline time { display: block; font-size: 13px; color: var(--quiet); }
.pager { display: flex; justify-content: space-between; padding: 12px 14px; }
@media (max-width: 640px) {
  header > div, main, .note { padding-left: 14px; padding-right: 14px; }
  .brand { padding: 12px 0 0; } nav { width: 100%; flex-wrap: wrap; } nav a { padding: 8px 8px 6px; }
  thead { display: none; } table, tbody, tr, td { display: block; width: 100%; }
  tr { padding: 10px 14px; border-bottom: 1px solid var(--line); } tbody tr:last-child { border-bottom: 0; }
  td { display: flex; flex-wrap: wrap; gap: 0 8px; align-items: center; justify-content: flex-end; text-align: right;
    padding: 2px 0; border: 0; max-width: none; overflow-wrap: anywhere; }
  td:empty { display: none; }
  td[data-label]::before { content: attr(data-label); color: var(--quiet); text-align: left; flex: none;
    margin-right: auto; }
  dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: 8px; }
}
"""

# Fetches the page again every two seconds and puts what has changed in place, unless the operator is filling in a form.
SCRIPT: Final = """
let touched = false;
addEventListener("input", () => { touched = true; });
setInterval(async () => {
  const main = document.querySelector("main[data-live]");
  if (!main || touched || document.hidden || main.contains(document.activeElement)) return;
  try {
    const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
    if (!answer.ok || touched) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
    if (fresh && fresh.innerHTML !== main.innerHTML) main.innerHTML = fresh.innerHTML;
  } catch {}
}, 2000);
"""
