/* What is behind a row: rendered from the report's data when the reader opens it. Every text goes in as text. */
(() => {
  const table = document.getElementById("rows");
  if (!table || !document.getElementById("data") || !("DecompressionStream" in window)) return;
  const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
  const LONGEST = 300;
  const ALL = 40;
  /* Of more calls or nodes than this, each takes one line: a compiled part of a graph stands for dozens. */
  const MANY = 12;
  const titles = JSON.parse(table.dataset.causes);
  const sides = { torch: table.dataset.torch, onnxruntime: table.dataset.onnxruntime };

  function shown(text) {
    const seen = text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
    return seen.length > LONGEST ? `${seen.slice(0, LONGEST - 100)}…${seen.slice(-99)}` : seen;
  }
  function make(tag, className, ...children) {
    const element = document.createElement(tag);
    if (className) element.className = className;
    element.append(...children.map((child) => (typeof child === "string" ? shown(child) : child)));
    return element;
  }
  const time = (ns) => `${(ns / table.dataset.size).toFixed(table.dataset.digits)} ${table.dataset.symbol}`;
  const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
  const sum = (items) => items.reduce((total, item) => total + item.ns, 0);

  let index = null;
  async function loaded() {
    if (index) return index;
    const report = await window.attribReport.reportData();
    const regions = new Map((report.regions ?? []).map((region) => [region.id, region]));
    const rows = new Map();
    for (const row of report.ledger) {
      if (!rows.has(row.region)) rows.set(row.region, []);
      rows.get(row.region).push(row);
    }
    index = { ledger: report.ledger, regions, rows };
    return index;
  }

  /* One lane: a heading and a list; what another row of the region owns is marked with its cause. */
  function lane(heading, note, items, more) {
    if (!items.length) return null;
    const list = make("ul", "", ...items);
    if (more) list.append(make("li", "more", `and ${more} more`));
    return make("section", "lane", make("h3", "", heading, " ", make("small", "", note)), list);
  }
  function tensors(item) {
    const read = (item.inputs ?? []).slice(0, 4).join(", ");
    const wrote = (item.outputs ?? []).slice(0, 4).join(", ");
    return read || wrote ? [make("small", "", wrote ? `${read} → ${wrote}` : read)] : [];
  }
  function unit(item, owners, mine, ...lines) {
    const cause = owners.get(item.id);
    const other = !mine.has(item.id);
    const head = make("div", "", make("b", "", item.op), " ", make("span", "num", time(item.ns)));
    if (cause && (other || owners.size === mine.size)) head.append(" ", make("i", "", titles[cause]));
    return make("li", other ? "other" : "", head, ...lines);
  }
  const named = (text) => make("code", "", text);

  /* One of many: its module stands only where it is another one than before, its tensors in the title. */
  function briefCall(call, before, owners, mine) {
    const module = call.module || "(root)";
    const item = unit(call, owners, mine, ...(before && (before.module || "(root)") === module ? [] : [named(module)]));
    item.title = shown((call.inputs ?? []).join(", "));
    return item;
  }
  function callItem(call, owners, mine) {
    const members = call.members ?? [];
    const lines = [named(call.module || "(root)"), ...tensors(call)];
    if (members.length) {
      const covered = members.slice(0, ALL).map((m) => make("li", "", make("b", "", m.op), " ", named(m.name || m.scope), " ", make("small", "", m.scope)));
      const left = members.length - covered.length + (call.members_more ?? 0);
      if (left) covered.push(make("li", "more", `and ${left} more`));
      lines.push(make("small", "", `one compiled kernel for ${plural(members.length + (call.members_more ?? 0), "op")}:`), make("ul", "", ...covered));
    }
    return unit(call, owners, mine, ...lines);
  }
  function runItem(node, owners, mine, ...more) {
    return unit(node, owners, mine, named(node.id), ...tensors(node), make("small", "", node.provider ?? ""), ...more);
  }
  function nodeItem(node, module, brief) {
    if (brief) {
      const item = make("li", "brief", make("b", "", node.op), " ", named(node.name));
      item.title = shown([node.module, node.fx_node && `fx node ${node.fx_node}`].filter(Boolean).join(" · "));
      return item;
    }
    const from = [node.module === module ? "" : node.module, node.fx_node && `fx node ${node.fx_node}`].filter(Boolean).join(" · ");
    return make("li", "", make("b", "", node.op), " ", named(node.name), ...(from ? [make("small", "", from)] : []));
  }

  function stageTitle(name) {
    if (name === "exported") return "Exported graph";
    return name === "optimized" ? "In the optimized graph, but not run as a node of its own" : `After ${name}`;
  }
  function lines(heading, texts, more) {
    if (!texts.length) return [];
    const list = make("ul", "", ...texts.map((text) => make("li", text.includes(" DIFFER") ? "bad" : "", text)));
    if (more) list.append(make("li", "more", `and ${more} more`));
    return [make("h3", "", heading), list];
  }

  /* The trail of a region as it is read from some of its ledger rows. */
  function trail(region, rows, siblings) {
    const owners = new Map();
    const ids = (row) => [...row.torch_calls, ...row.onnx_nodes];
    if (siblings.length > 1) for (const one of siblings) for (const id of ids(one)) owners.set(id, one.cause);
    const mine = new Set(rows.flatMap(ids));
    const calls = region.calls ?? [], ran = region.ran ?? [], steps = region.steps ?? [], stages = region.stages ?? [];
    const count = (items, more, noun) => `${plural(items.length + (more ?? 0), noun)}${more ? "" : `, ${time(sum(items))}`}`;
    const briefly = calls.length > MANY && !calls.some((call) => call.members?.length);
    const told = calls.map((c, i) => (briefly ? briefCall(c, calls[i - 1], owners, mine) : callItem(c, owners, mine)));
    const total = calls.length + (region.calls_more ?? 0);
    const whole = ran.length === 1 && total > MANY ? [make("small", "", `one node for ${plural(total, "call")}: how its time divides among them is not recorded`)] : [];
    const lanes = [
      lane(sides.torch, count(calls, region.calls_more, "call"), told, region.calls_more),
      ...stages.map((s) => lane(stageTitle(s.name), plural(s.nodes.length + (s.more ?? 0), "node"), s.nodes.map((n) => nodeItem(n, region.module, s.nodes.length > MANY)), s.more)),
      lane(`${sides.onnxruntime} ran`, count(ran, region.ran_more, "node"), ran.map((n) => runItem(n, owners, mine, ...whole)), region.ran_more),
    ].filter(Boolean);
    const match = rows[0].match;
    const title = match.method === "none" ? "Not matched" : `Match: ${match.method}, confidence ${Math.round(match.confidence * 100)} %`;
    const reasons = region.reason && !match.evidence.includes(region.reason) ? [region.reason] : [];
    return make("div", "trail",
      make("div", "lanes", ...lanes),
      make("div", "why",
        ...lines("Rewrites", steps.map((s) => s.text), region.steps_more),
        ...lines(title, [...reasons, ...match.evidence], 0)));
  }
  /* The regions of some rows (places in the ledger), each with those rows and its trail. */
  async function trailsOf(places) {
    const { ledger, regions, rows } = await loaded();
    const found = new Map();
    for (const row of places.map((place) => ledger[place])) {
      const region = row && regions.get(row.region);
      if (region) found.set(region, [...(found.get(region) ?? []), row]);
    }
    return [...found].map(([region, own]) => [own, trail(region, own, rows.get(region.id))]);
  }

  /* The operator table: the trail takes a row of its own below, over all columns. A line that folds rows has none. */
  const opened = new Map();
  window.attribReport.trailRow = (row) => opened.get(row);
  table.addEventListener("toggle", async ({ target }) => {
    const row = target.closest("tr");
    if (!row.dataset.i) return;
    if (!target.open) {
      opened.get(row)?.remove();
      opened.delete(row);
      return;
    }
    const [made] = await trailsOf([Number(row.dataset.i)]);
    if (!made || !target.open || opened.has(row)) return;
    const cell = document.createElement("td");
    cell.colSpan = row.cells.length;
    cell.append(made[1]);
    const below = make("tr", "trail-row", cell);
    below.id = `trail-${row.dataset.i}`;
    target.querySelector("summary").setAttribute("aria-controls", below.id);
    row.after(below);
    opened.set(row, below);
  }, true);

  /* The module tree: a line without children becomes one that opens; of several regions each opens by itself. */
  for (const leaf of document.querySelectorAll("#modules .leaf[data-i]")) {
    const summary = document.createElement("summary");
    summary.append(...leaf.childNodes);
    const details = make("details", "evidence", summary);
    leaf.append(details);
    leaf.classList.replace("leaf", "opens");
    details.addEventListener("toggle", async () => {
      if (!details.open || details.dataset.filled) return;
      details.dataset.filled = "yes";
      const trails = await trailsOf(leaf.dataset.i.split(" ").map(Number));
      for (const [rows, body] of trails) {
        const figures = rows.map((row) => `${titles[row.cause]} ${time(row.torch_ns)} → ${time(row.onnxruntime_ns)}`);
        const one = make("details", "evidence rowed", make("summary", "", named(rows[0].region), " ", make("span", "num", figures.join(", "))), body);
        one.open = trails.length === 1;
        details.append(one);
      }
      if (details.children.length === 1) details.append(make("p", "empty", "No call and no node: this is time of the framework or of the profiler."));
    });
  }
})();
