/* Each section can be copied as Markdown for a review: what is open of it, every character of it as text. */
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const { say } = window.attribReport;
  const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };
  /* The same as `escape` of the report in Markdown: no markup, no mention and no link comes out of it. */
  const plain = (text) => text.replace(/\s+/g, " ").trim()
    .replace(/[&<>]/g, (c) => ENTITIES[c])
    .replace(/[\\`*_{}[\]()#+!|~^$-]/g, "\\$&")
    .replace(/@|#(?=\w)|:(?=\/\/)|www(?=\.)/gi, "$&<!-- -->");
  const textOf = (node) => {
    const copy = node.cloneNode(true);
    all("button:not(.sort), select, svg, .sr, .mark, .ticks-of, .named", copy).forEach((one) => one.remove());
    all("small, div, br", copy).forEach((one) => one.before(" "));
    return plain(copy.textContent);
  };
  function lineOf(row) {
    const cells = [...row.cells].filter((cell) => cell.colSpan === 1).map((cell) => textOf(cell.querySelector("summary") ?? cell));
    return `| ${cells.join(" | ")} |`;
  }
  function fenced(text) {
    const fence = "`".repeat(Math.max(3, ...(text.match(/`+/g) ?? []).map((run) => run.length + 1)));
    return `${fence}\n${text}\n${fence}`;
  }
  function* markdownOf(node, depth = 0) {
    for (const child of node.children) {
      if (child.matches("button, .filter, .sr, .trail-row, .tree-head, script, [hidden]")) continue;
      if (child.matches("h2, h3")) yield `${child.tagName === "H2" ? "##" : "###"} ${textOf(child)}`;
      else if (child.matches("p, figcaption, summary")) yield textOf(child);
      else if (child.matches("pre")) yield fenced(child.textContent);
      else if (child.matches("dl")) yield [...child.children].map((pair) => `- ${textOf(pair.children[0])}: ${textOf(pair.children[1])}`).join("\n");
      else if (child.matches("table")) {
        const rows = [...child.rows].filter((row) => !row.matches(".trail-row, .group"));
        const head = child.tHead ? [lineOf(rows.shift())] : [`|${" |".repeat(rows[0].cells.length)}`];
        yield [...head, `|${" --- |".repeat(rows[0].cells.length)}`, ...rows.map(lineOf)].join("\n");
      } else if (child.matches("details:not([open])")) yield* markdownOf({ children: child.querySelectorAll(":scope > summary") }, depth);
      else if (child.matches("li")) {
        const line = child.querySelector(":scope > details > summary") ?? child;
        const parts = [...line.children].filter((part) => part.tagName === "SPAN");
        yield `${"  ".repeat(depth)}- ${parts.length > 2 ? parts.map(textOf).join(" ") : textOf(line)}`;
        for (const list of child.querySelectorAll(":scope > details[open] > ul")) yield* markdownOf(list, depth + 1);
      } else yield* markdownOf(child, depth);
    }
  }
  for (const section of all("section.card")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy whole";
    button.textContent = "Markdown";
    button.setAttribute("aria-label", `Copy ${section.querySelector("h2").textContent} as Markdown`);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(`${[...markdownOf(section)].filter(Boolean).join("\n\n").replace(/\n\n(?= *- )/g, "\n")}\n`);
        say("Copied as Markdown");
      } catch {
        getSelection().selectAllChildren(section);
        say("Selected: copy with your keyboard");
      }
    });
    section.querySelector("h2").after(button);
  }
})();
