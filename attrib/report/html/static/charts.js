/* Interactive charts: plotly.js is unpacked and started only when the reader opens their section. */
(() => {
  const section = document.getElementById("charts");
  const state = document.getElementById("charts-state");
  const CAUSE_SYMBOLS = ["circle", "square", "diamond", "cross", "x", "triangle-up", "triangle-down", "star"];
  const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]/gu;
  const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  const names = { torch: section.dataset.torch, onnxruntime: section.dataset.onnxruntime };
  const titles = JSON.parse(section.dataset.causes);

  /* Named one by one: plotly's own choice of buttons includes one that sends the chart to a service. */
  const CONFIG = {
    responsive: true, displaylogo: false, plotlyServerURL: "",
    modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  /* Text for plotly, which reads a little HTML: no tag of a stranger's survives, and what is invisible is shown. */
  function safe(text, limit = 120) {
    const shown = text.replace(HIDDEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
    const cut = shown.length > limit ? `${shown.slice(0, limit - 30)}…${shown.slice(-29)}` : shown;
    return cut.replace(/[&<>]/g, (c) => ENTITIES[c]);
  }
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const ms = (ns) => ns / 1e6;
  const median = (values) => {
    const sorted = [...values].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
  };

  function layout(extra) {
    const axis = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), automargin: true };
    const { xaxis = {}, yaxis = {}, ...rest } = extra;
    return {
      paper_bgcolor: css("--paper"), plot_bgcolor: css("--paper"), margin: { l: 60, r: 12, t: 34, b: 46 },
      font: { family: css("--sans"), size: 12, color: css("--text") }, separators: ".,",
      hoverlabel: { bgcolor: css("--soft"), bordercolor: css("--line"), font: { color: css("--ink"), family: css("--sans") }, align: "left" },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
      ...rest, xaxis: { ...axis, ...xaxis }, yaxis: { ...axis, ...yaxis },
    };
  }

  function waterfall(report) {
    const { torch_ns: torch, onnxruntime_ns: ort, delta_ns: delta } = report.latency;
    /* Where no cause is reliable, or stairs would leave the axis, there is no waterfall. */
    if (!torch || !ort || !delta || !section.dataset.stepped) return null;
    const last = { profiler_overhead: 1, unattributed: 2 };
    const causes = [...report.causes].sort((a, b) => (last[a.cause] ?? 0) - (last[b.cause] ?? 0) || Math.abs(b.delta_ns) - Math.abs(a.delta_ns));
    const labels = [names.torch, ...causes.map((c) => titles[c.cause]), names.onnxruntime];
    const values = [torch.median, ...causes.map((c) => c.delta_ns), ort.median];
    const trace = {
      type: "waterfall", orientation: "h", y: labels.map((l) => safe(l)), x: values.map(ms),
      measure: ["absolute", ...causes.map(() => "relative"), "total"],
      increasing: { marker: { color: css("--slower") } }, decreasing: { marker: { color: css("--faster") } },
      totals: { marker: { color: css("--total") } }, connector: { line: { color: css("--muted"), width: 1, dash: "dot" } },
      hovertemplate: "%{y}: %{x:,.3f} ms<extra><\/extra>",
    };
    return [[trace], layout({ yaxis: { autorange: "reversed" }, xaxis: { title: { text: "ms per step" } }, showlegend: false })];
  }

  function steps(report) {
    const style = { torch: ["--total", "circle"], onnxruntime: ["--ink", "square"] };
    const traces = [];
    for (const [role, blocks] of Object.entries(report.plain_ns)) {
      const [color, symbol] = style[role];
      const x = [];
      const y = [];
      blocks.forEach((block, round) => block.forEach((ns, step) => { x.push(round + 1 + (step - (block.length - 1) / 2) * 0.06); y.push(ms(ns)); }));
      traces.push({
        type: "scatter", mode: "markers", name: safe(names[role]), x, y, marker: { color: css(color), symbol, size: 6, opacity: 0.75 },
        hovertemplate: "%{y:,.3f} ms<extra>%{fullData.name}<\/extra>",
      });
      traces.push({
        type: "scatter", mode: "lines", name: `${safe(names[role])}, median of the round`, showlegend: false,
        x: blocks.map((_, round) => round + 1), y: blocks.map((block) => ms(median(block))), line: { color: css(color), width: 1.5 },
        hovertemplate: "median %{y:,.3f} ms<extra>round %{x}<\/extra>",
      });
    }
    return traces.length ? [traces, layout({ xaxis: { title: { text: "round" }, dtick: 1, zeroline: false }, yaxis: { title: { text: "ms per step" } } })] : null;
  }

  function regions(report) {
    const byRegion = new Map();
    for (const row of report.ledger) {
      const region = byRegion.get(row.region) ?? { torch: 0, ort: 0, cause: row.cause, largest: -1, rows: 0 };
      region.torch += row.torch_ns;
      region.ort += row.onnxruntime_ns;
      region.rows += 1;
      if (Math.abs(row.delta_ns) > region.largest) {
        region.largest = Math.abs(row.delta_ns);
        region.cause = row.cause;
      }
      byRegion.set(row.region, region);
    }
    const matched = [...byRegion].filter(([, r]) => r.torch > 0 && r.ort > 0);
    if (!matched.length) return null;
    const palette = [css("--violet"), css("--rose"), css("--ok"), css("--warn"), css("--muted"), css("--bad"), css("--teal"), css("--ink"), css("--total")];
    const traces = [...new Set(matched.map(([, r]) => r.cause))].sort().map((cause, number) => {
      const points = matched.filter(([, r]) => r.cause === cause);
      return {
        type: "scatter", mode: "markers", name: safe(titles[cause]), x: points.map(([, r]) => ms(r.torch)), y: points.map(([, r]) => ms(r.ort)),
        text: points.map(([name]) => safe(name)),
        marker: { symbol: CAUSE_SYMBOLS[number % 8], color: palette[number % 8], size: 8, opacity: 0.8 },
        hovertemplate: `%{text}<br>${safe(names.torch)} %{x:,.3f} ms<br>${safe(names.onnxruntime)} %{y:,.3f} ms<extra><\/extra>`,
      };
    });
    const ends = matched.flatMap(([, r]) => [ms(r.torch), ms(r.ort)]);
    const line = [Math.min(...ends), Math.max(...ends)];
    traces.push({ type: "scatter", mode: "lines", x: line, y: line, name: "equal", hoverinfo: "skip", line: { color: css("--muted"), dash: "dot", width: 1 } });
    return [traces, layout({
      xaxis: { type: "log", title: { text: `${safe(names.torch)}, ms` } }, yaxis: { type: "log", title: { text: `${safe(names.onnxruntime)}, ms` } },
    })];
  }

  function modules(report) {
    const nodes = new Map([["", { label: safe(report.workload.model), parent: null, torch: 0, ort: 0 }]]);
    for (const row of report.ledger) {
      if (row.torch_ns < 0 || row.onnxruntime_ns < 0) continue;
      const parts = row.module ? row.module.split(".").slice(0, 12) : [];
      for (let depth = 0; depth <= parts.length; depth += 1) {
        const path = parts.slice(0, depth).join(".");
        if (!nodes.has(path)) nodes.set(path, { label: safe(parts[depth - 1], 40), parent: parts.slice(0, depth - 1).join("."), torch: 0, ort: 0 });
        const node = nodes.get(path);
        node.torch += row.torch_ns;
        node.ort += row.onnxruntime_ns;
      }
    }
    const paths = [...nodes.keys()];
    const picked = [...nodes.values()];
    const sizes = picked.map((n) => n.torch + n.ort);
    if (!sizes[0]) return null;
    const trace = {
      type: "icicle", ids: paths.map((p) => `m:${p}`), labels: picked.map((n) => n.label), values: sizes, branchvalues: "total",
      parents: picked.map((n) => (n.parent === null ? "" : `m:${n.parent}`)), maxdepth: 5, tiling: { orientation: "h" }, sort: false,
      marker: {
        colors: picked.map((n) => (n.ort - n.torch) / (n.ort + n.torch || 1)), cmid: 0, cmin: -0.6, cmax: 0.6,
        colorscale: [[0, css("--faster")], [0.5, css("--soft")], [1, css("--slower")]], line: { color: css("--paper"), width: 1 },
      },
      customdata: picked.map((n) => [ms(n.torch), ms(n.ort), ms(n.ort - n.torch)]),
      hovertemplate: `%{label}<br>${safe(names.torch)} %{customdata[0]:,.3f} ms<br>${safe(names.onnxruntime)} %{customdata[1]:,.3f} ms<br>Δ %{customdata[2]:+,.3f} ms<extra><\/extra>`,
    };
    return [[trace], layout({ margin: { l: 4, r: 4, t: 30, b: 4 } })];
  }

  const CHARTS = { "plot-waterfall": waterfall, "plot-steps": steps, "plot-regions": regions, "plot-modules": modules };

  async function loadPlotly() {
    if (window.Plotly) return;
    const source = new TextDecoder().decode(await window.attribReport.unpacked("plotly"));
    const script = document.createElement("script");
    script.textContent = source;
    /* Its map library puts a style sheet into the page that no chart here uses and the policy refuses: leave it out. */
    const { head } = document;
    head.appendChild = (node) => (node.tagName === "STYLE" && node.textContent ? node : Node.prototype.appendChild.call(head, node));
    head.append(script);
    delete head.appendChild;
    if (!window.Plotly) throw new Error("the browser refused to run plotly.js");
  }

  async function draw() {
    const report = await window.attribReport.reportData();
    await loadPlotly();
    section.querySelector(".plots").hidden = false;
    for (const [id, chart] of Object.entries(CHARTS)) {
      const place = document.getElementById(id);
      const drawn = chart(report);
      place.parentElement.hidden = drawn === null;
      if (drawn) await window.Plotly.react(place, ...drawn, CONFIG);
    }
    state.hidden = true;
    section.dataset.drawn = "yes";
  }

  async function open() {
    if (!section.open || section.dataset.drawn) return;
    state.textContent = "Unpacking the charts…";
    try {
      await draw();
    } catch (error) {
      state.textContent = `The charts could not be drawn (${error.message}). The tables hold the same figures.`;
    }
  }
  section.closest("section").hidden = false;
  section.addEventListener("toggle", open);
  addEventListener("themechange", () => { if (section.dataset.drawn) draw(); });
  open();
})();
