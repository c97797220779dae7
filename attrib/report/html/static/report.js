"use strict";
/* Additions to a page that is complete without them: sorting, filters, links that open what they name, copying. */
(() => {
  const $ = (id) => document.getElementById(id);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const MINUS = "\u2212";

  let toastTimer = 0;
  function say(text) {
    const toast = $("status");
    toast.textContent = text;
    toast.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { toast.hidden = true; }, 3000);
  }

  async function unpacked(id) {
    const raw = Uint8Array.from(atob($(id).textContent.trim()), (c) => c.charCodeAt(0));
    const stream = new Blob([raw]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }
  let parsed = null;
  async function reportData() {
    parsed ??= JSON.parse(new TextDecoder().decode(await unpacked("data")));
    return parsed;
  }

  window.attribReport = { unpacked, reportData };

  /* What trail.js shows below an opened row stays with that row. */
  const trailRow = (row) => window.attribReport.trailRow?.(row);

  /* Sorting: a click sorts by the column, figures largest first; another click turns it round. */
  function cellValue(row, column, numeric) {
    const cell = row.cells[column];
    const text = (cell.querySelector("summary") ?? cell).textContent.trim();
    if (!numeric) return text;
    const number = Number.parseFloat(text.replace(MINUS, "-").replaceAll(",", ""));
    return Number.isNaN(number) ? -Infinity : number;
  }
  function sortBy(table, header, column) {
    const numeric = header.classList.contains("n");
    const was = header.getAttribute("aria-sort");
    const order = was === null ? (numeric ? "descending" : "ascending") : was === "ascending" ? "descending" : "ascending";
    all("th[aria-sort]", table).forEach((th) => th.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = all("tr:not(.trail-row)", table.tBodies[0]).map((row) => [cellValue(row, column, numeric), row]);
    rows.sort(([a], [b]) => sign * (numeric ? (a > b) - (a < b) : a.localeCompare(b, "en", { numeric: true })));
    table.tBodies[0].append(...rows.flatMap(([, row]) => [row, trailRow(row)].filter(Boolean)));
  }
  for (const table of all("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => sortBy(table, header, column));
    });
  }

  /* Filter of the operator table: words that all occur, a cause, or the rows that a finding names. */
  const table = $("rows");
  const deltas = table ? table.dataset.ns.split(" ").map(Number) : [];
  const written = table ? [...table.tBodies[0].rows] : [];
  let chosen = null;
  function applyFilter() {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const cause = $("filter-cause").value;
    let shown = 0;
    let sum = 0;
    for (const [place, row] of written.entries()) {
      const text = row.textContent.toLowerCase();
      const keep = words.every((word) => text.includes(word))
        && (!cause || row.cells[table.dataset.cause].textContent.trim() === cause)
        && (!chosen || chosen.has(row));
      row.hidden = !keep;
      const below = trailRow(row);
      if (below) below.hidden = !keep;
      if (keep) {
        shown += 1;
        sum += deltas[place];
      }
    }
    const signed = (sum > 0 ? "+" : sum < 0 ? MINUS : "") + Math.abs(sum / table.dataset.size).toFixed(table.dataset.digits);
    $("filter-sum").textContent = `${shown} of ${written.length} rows, Δ ${signed}`;
  }
  function clearFilter() {
    $("filter").value = "";
    $("filter-cause").value = "";
    chosen = null;
    applyFilter();
  }
  if (table) {
    table.closest("section").querySelector(".filter").hidden = false;
    $("filter").addEventListener("input", applyFilter);
    $("filter-cause").addEventListener("change", applyFilter);
    $("filter-clear").addEventListener("click", clearFilter);
    applyFilter();
    for (const button of all(".rows-of")) {
      button.hidden = false;
      button.addEventListener("click", () => {
        clearFilter();
        chosen = new Set(button.dataset.rows.split(" ").map((place) => written[place]));
        applyFilter();
        $("operators").scrollIntoView();
        $("filter-clear").focus({ preventScroll: true });
      });
    }
  }

  /* The name of a cause leads to all its rows. */
  for (const link of table ? all("a[data-cause]") : []) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      clearFilter();
      $("filter-cause").value = link.dataset.cause;
      applyFilter();
      $("operators").scrollIntoView();
      $("filter-cause").focus({ preventScroll: true });
    });
  }

  /* Links: open every section around the target, take it out of a filter, and go there. */
  function follow() {
    const name = location.hash.slice(1);
    if (!name) return;
    let target = $(name);
    try { target ??= $(decodeURIComponent(name)); } catch { /* not percent-encoded text: no such place */ }
    if (!target) {
      if (name.startsWith("row/")) say("This row is rolled up into “other”: report.json holds it.");
      return;
    }
    if (target.hidden) clearFilter();
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
    const inside = target.querySelector(":scope > th > details");
    if (inside) inside.open = true;
    all(".hit").forEach((row) => row.classList.remove("hit"));
    target.classList.add("hit");
    target.scrollIntoView({ block: target.tagName === "TR" ? "center" : "start" });
  }
  addEventListener("hashchange", follow);
  follow();

  /* Every opened row shows the link to itself. */
  table?.addEventListener("toggle", ({ target }) => {
    const row = target.closest("tr");
    if (!target.open || target.querySelector(":scope > a")) return;
    const link = document.createElement("a");
    link.href = `#${row.id}`;
    link.textContent = "link to this row";
    target.append(link);
  }, true);

  /* Copy buttons. */
  for (const code of all(".fix code")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy inline";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy ${code.textContent}`);
    code.after(button);
  }
  for (const button of all("button.copy")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = button.dataset.copy ? $(button.dataset.copy) : button.previousElementSibling;
      try {
        await navigator.clipboard.writeText(source.textContent);
        say("Copied");
      } catch {
        getSelection().selectAllChildren(source);
        say("Selected: copy with your keyboard");
      }
    });
  }

  /* Open and close everything but the charts and the table rows, which have their own weight. */
  const foldable = () => all("main details").filter((d) => d.id !== "charts" && !d.closest("#rows") && !d.classList.contains("evidence"));
  const expand = $("expand");
  expand.hidden = false;
  expand.addEventListener("click", () => {
    const open = foldable().some((d) => !d.open);
    foldable().forEach((d) => { d.open = open; });
    expand.textContent = open ? "Collapse all" : "Expand all";
  });
  addEventListener("beforeprint", () => all(".finding, .sub").forEach((d) => { d.open = true; }));

  const download = $("download");
  if (download && "DecompressionStream" in window) {
    download.hidden = false;
    download.addEventListener("click", async () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([await unpacked("data")], { type: "application/json" }));
      link.download = download.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    });
  }

})();
