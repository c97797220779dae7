/* The operator table: lines open to the rows that they fold, and the filter reaches every row. Every text goes in as text. */
(() => {
  const table = document.getElementById("rows");
  if (!table || !("DecompressionStream" in window)) return;
  const $ = (id) => document.getElementById(id);
  const { unpacked, reportData, sortable, MINUS } = window.attribReport;
  const MOST = 500;
  const MOST_MEMBERS = 100;
  const SVG = "http:\/\/www.w3.org/2000/svg";
  const body = table.tBodies[0];
  const lines = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const total = Number(table.dataset.count);
  const scale = Number(table.dataset.scale);
  const membersOf = (line) => line.dataset.m.split(" ").map(Number);
  const shownOf = (line) => membersOf(line).slice(0, MOST_MEMBERS);

  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  /* Every row, the largest first; those that a line shows alone are that line. */
  let loading = null;
  const items = () => (loading ??= load());
  async function load() {
    const told = JSON.parse(new TextDecoder().decode(await unpacked("row-data")));
    const found = told.map(([anchor, place, ns, cells, limit], position) => ({ anchor, place, ns, cells, limit, position }));
    for (const line of lines) {
      const members = membersOf(line);
      if (members.length === 1) found[members[0]].row = line;
    }
    return found;
  }
  function barOf(ns) {
    const svg = document.createElementNS(SVG, "svg");
    const bar = document.createElementNS(SVG, "rect");
    const share = scale ? 50 * Math.min(Math.abs(ns) / scale, 1) : 0;
    svg.setAttribute("class", "db");
    svg.setAttribute("aria-hidden", "true");
    bar.setAttribute("class", ns > 0 ? "p" : "m");
    bar.setAttribute("x", `${ns < 0 ? 50 - share : 50}%`);
    bar.setAttribute("width", `${share}%`);
    svg.append(bar);
    return svg;
  }
  /* An op's name breaks between its words, as in the lines of the page (filters.py). */
  const WORDS = /(?<=::|_(?=\w)|[a-z]{3}(?=[A-Z]))/;
  const broken = (text) => text.split(WORDS).flatMap((word, place) => (place ? [make("wbr", ""), word] : [word]));
  function rowOf(item) {
    if (item.row) return item.row;
    const row = make("tr", "");
    row.id = `row/${item.anchor}`;
    row.dataset.i = item.place;
    item.cells.forEach((cell, column) => {
      const [text, remark, kind] = [cell].flat();
      const name = () => make("details", "", make("summary", "", make("span", "", text)));
      const made = make(column ? "td" : "th", "", ...(column ? broken(text) : [name()]));
      if (remark) made.append(" ", make(kind === "bad" ? "b" : "span", kind, remark));
      if (heads[column].dataset.colored) {
        made.className = text[0] === "+" ? "p" : text[0] === MINUS ? "m" : "";
        made.append(barOf(item.ns));
      }
      row.append(made);
    });
    item.row = row;
    return row;
  }

  /* What stands in the table: lines with the rows of those that are open, or the rows that a filter found. */
  const opened = new Map();
  let list = lines;
  let sorted = (rows) => rows;
  function show() {
    const shown = list === lines
      ? sorted(lines).flatMap((line) => [[line, false], ...(opened.get(line) ?? []).map((row) => [row, true])])
      : sorted(list).map((row) => [row, false]);
    const focused = body.contains(document.activeElement) ? document.activeElement : null;
    for (const [row, member] of shown) row.classList.toggle("member", member);
    body.replaceChildren(...shown.flatMap(([row]) => [row, window.attribReport.trailRow?.(row)].filter(Boolean)));
    focused?.focus({ preventScroll: true });
  }
  sortable(table, (how) => { sorted = how; show(); });

  for (const line of lines) {
    const name = line.cells[0];
    name.append(make("details", "", make("summary", "", ...name.childNodes)));
  }
  async function unfold(line) {
    const its = await items();
    opened.set(line, shownOf(line).filter((position) => its[position]).map((position) => rowOf(its[position])));
    show();
  }
  table.addEventListener("toggle", ({ target }) => {
    const row = target.closest("tr");
    if (row.classList.contains("fold")) {
      if (!target.open) { opened.delete(row); show(); } else if (!opened.has(row)) unfold(row);
    }
    if (!target.open || target.querySelector(":scope > p")) return;
    const link = make("a", "", "link to this row");
    link.href = `#${row.id}`;
    const note = make("p", "", link);
    const folded = row.dataset.m?.split(" ").length ?? 1;
    if (folded > MOST_MEMBERS) note.append(`; below are the ${MOST_MEMBERS} largest rows, the filter finds all ${folded}`);
    target.append(note);
    items().then((its) => {
      const limit = its.find((item) => item.row === row)?.limit;
      if (limit) note.append(` limit: ${limit}`);
    });
  }, true);

  /* Words that all occur in a row or in what is behind it, a cause, or the rows that a finding names. */
  async function textsOf(its) {
    const { ledger } = $("data") ? await reportData() : { ledger: [] };
    const whole = ledger.length === total;
    for (const item of its) {
      const row = whole ? ledger[item.place] : {};
      const behind = [row.id, row.module, row.torch_calls, row.onnx_nodes, row.exported, row.providers, row.shapes, row.match?.evidence];
      item.text ??= [item.cells, behind].flat(3).join(" ").toLowerCase();
    }
  }
  const signed = (ns) => (ns > 0 ? "+" : ns < 0 ? MINUS : "") + Math.abs(ns / table.dataset.size).toFixed(table.dataset.digits);
  let chosen = null;
  let asked = 0;
  async function applyFilter() {
    const turn = ++asked;
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const cause = $("filter-cause").value;
    if (!words.length && !cause && !chosen) {
      list = lines;
      show();
      $("filter-sum").textContent = `${total} of ${total} rows, Δ ${signed(Number(table.dataset.ns))}`;
      return;
    }
    const its = await items();
    if (words.length) await textsOf(its);
    if (turn !== asked) return;
    const found = its.filter((item) => words.every((word) => item.text.includes(word))
      && (!cause || item.cells[table.dataset.cause] === cause)
      && (!chosen || chosen.has(item.position)));
    list = found.slice(0, MOST).map(rowOf);
    show();
    const among = its.length < total ? `the ${its.length} largest of ${total}` : total;
    const rest = found.length > MOST ? `; the ${MOST} largest are shown` : "";
    $("filter-sum").textContent = `${found.length} of ${among} rows, Δ ${signed(found.reduce((sum, item) => sum + item.ns, 0))}${rest}`;
  }
  function choose({ words = "", cause = "", positions = null } = {}) {
    $("filter").value = words;
    $("filter-cause").value = cause;
    chosen = positions && new Set(positions);
    return applyFilter();
  }
  table.closest("section").querySelector(".filter").hidden = false;
  $("filter").addEventListener("input", applyFilter);
  $("filter-cause").addEventListener("change", applyFilter);
  $("filter-clear").addEventListener("click", () => choose());
  applyFilter();
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return;
    event.preventDefault();
    $("filter").focus();
    $("operators").scrollIntoView();
  });

  /* A finding's button, and the name of a cause, lead to their rows. */
  async function lead(filter, focused) {
    await choose(filter);
    $("operators").scrollIntoView();
    focused.focus({ preventScroll: true });
  }
  for (const button of document.querySelectorAll(".rows-of")) {
    button.hidden = false;
    button.addEventListener("click", () => lead({ positions: button.dataset.rows.split(" ").map(Number) }, $("filter-clear")));
  }
  for (const link of document.querySelectorAll("a[data-cause]")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      lead({ cause: link.dataset.cause }, $("filter-cause"));
    });
  }

  /* The row or line that a link names, brought into the table; null where there is none. */
  window.attribReport.rowIds = async () => new Map((await items()).map((item) => [item.place, `row/${item.anchor}`]));
  window.attribReport.rowOf = async (name) => {
    if (!/^rows?\//.test(name)) return null;
    const line = lines.find((one) => one.id === name);
    const item = line ? null : (await items()).find(({ anchor }) => `row/${anchor}` === name);
    if (!line && !item) return null;
    const around = line ?? lines.find((one) => shownOf(one).includes(item.position));
    if (!around) {
      await choose({ positions: [item.position] });
      return rowOf(item);
    }
    if (!around.isConnected) await choose();
    if (line) return line;
    await unfold(around);
    around.querySelector(":scope > th > details").open = true;
    return rowOf(item);
  };
})();
