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

  /* Sorting: a click sorts by the column, figures largest first; another click turns it round. */
  function cellValue(row, column, numeric) {
    const cell = row.cells[column];
    const text = (cell.querySelector("summary") ?? cell).textContent.trim();
    if (!numeric) return text;
    const number = Number.parseFloat(text.replace(MINUS, "-").replaceAll(",", ""));
    return Number.isNaN(number) ? -Infinity : number;
  }
  /* Gives `show` a function that puts rows into the chosen order. */
  function sortable(table, show) {
    [...table.tHead.rows[0].cells].forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const numeric = header.classList.contains("n");
        const was = header.getAttribute("aria-sort");
        const order = was === null ? (numeric ? "descending" : "ascending") : was === "ascending" ? "descending" : "ascending";
        all("th[aria-sort]", table).forEach((th) => th.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", order);
        const sign = order === "ascending" ? 1 : -1;
        show((rows) => {
          const valued = [...rows].map((row) => [cellValue(row, column, numeric), row]);
          valued.sort(([a], [b]) => sign * (numeric ? (a > b) - (a < b) : a.localeCompare(b, "en", { numeric: true })));
          return valued.map(([, row]) => row);
        });
      });
    });
  }
  for (const table of all("table.sortable:not(#rows)")) {
    const body = table.tBodies[0];
    sortable(table, (sorted) => body.append(...sorted(body.rows)));
  }

  window.attribReport = { unpacked, reportData, sortable, say, MINUS };

  /* Links: open every section around the target, bring it out of a line or a filter, and go there. */
  async function follow() {
    const name = location.hash.slice(1);
    if (!name) return;
    const names = [name];
    try { names.push(decodeURIComponent(name)); } catch { /* not percent-encoded text: no such place */ }
    let target = null;
    for (const one of names) target ??= (await window.attribReport.rowOf?.(one)) ?? $(one);
    if (!target) {
      if (name.startsWith("row")) say("This row is rolled up into “other”: report.json holds it.");
      return;
    }
    for (let at = target; at; at = at.parentElement) {
      if (at.tagName === "DETAILS") at.open = true;
    }
    const inside = target.querySelector(":scope > th > details");
    if (inside) inside.open = true;
    all(".hit").forEach((row) => row.classList.remove("hit"));
    target.classList.add("hit");
    target.scrollIntoView({ block: target.tagName === "TR" ? "center" : "start" });
    if (target.classList.contains("tick")) say(target.title);
  }
  addEventListener("hashchange", follow);
  document.addEventListener("DOMContentLoaded", follow);

  /* What passed is a row of ticks; their names are listed when the reader asks. */
  for (const ticks of all(".ticks-of")) {
    const named = document.createElement("details");
    named.className = "named";
    const summary = document.createElement("summary");
    summary.textContent = "names";
    const list = document.createElement("ul");
    list.append(...all(".tick", ticks).map((tick) => {
      const item = document.createElement("li");
      item.textContent = tick.title;
      return item;
    }));
    named.append(summary, list);
    ticks.after(named);
  }

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

  /* The theme follows the system until the reader chooses: the rules of the dark one then hold always, or never. */
  const dark = all("style").flatMap((style) => [...style.sheet.cssRules]).find((rule) => rule.media?.mediaText.includes("color-scheme: dark"));
  const system = matchMedia("(prefers-color-scheme: dark)");
  let isDark = null;
  $("theme").hidden = !dark;
  $("theme").addEventListener("click", () => {
    isDark = !(isDark ?? system.matches);
    dark.media.mediaText = isDark ? "all" : "not all";
    document.documentElement.style.colorScheme = isDark ? "dark" : "light";
    dispatchEvent(new Event("themechange"));
  });
  system.addEventListener("change", () => dispatchEvent(new Event("themechange")));

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
