const GROUPS_PER_LINE = 5;

/** An escrow code in lines that fit a page and an eye. */
export function codeLines(code: string): string[] {
  const groups = code.split('-');
  const lines = Array.from({ length: Math.ceil(groups.length / GROUPS_PER_LINE) }, (_, line) =>
    groups.slice(line * GROUPS_PER_LINE, (line + 1) * GROUPS_PER_LINE).join('-'),
  );
  return lines.map((line, at) => (at < lines.length - 1 ? `${line}-` : line));
}

/** What to do with a new code, and the code. */
export function escrowPaper(code: string): string[] {
  return [
    'Write this escrow code down, on paper. It opens the vault when the key file is lost, and it is shown only now:',
    '',
    ...codeLines(code).map((line) => `    ${line}`),
    '',
  ];
}
