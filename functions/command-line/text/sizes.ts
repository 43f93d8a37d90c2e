const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const;

/** Bytes for people: `0 B`, `1.5 KiB`, `45.3 MiB`, `512 GiB`; three digits, no more than one decimal. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.95 and more would be rounded to 1024.0 of the smaller unit.
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const decimals = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(decimals).replace(/\.0$/, '')} ${UNITS[unit]}`;
}

/** Bytes a second for people; `-` where no time has passed. */
export function formatRate(bytes: number, seconds: number): string {
  return seconds > 0 ? `${formatSize(bytes / seconds)}/s` : '-';
}

/** How many times smaller the second is than the first: `2.6 : 1`; `-` where there is nothing to compare. */
export function formatRatio(bytes: number, storedBytes: number): string {
  if (bytes === 0 || storedBytes === 0) return '-';
  const ratio = bytes / storedBytes;
  return `${ratio.toFixed(ratio < 99.95 ? 1 : 0)} : 1`;
}

/** `1 disk`, `2 disks`; thousands are set apart. */
export function formatCount(count: number, one: string, many = `${one}s`): string {
  return `${formatNumber(count)} ${count === 1 ? one : many}`;
}

/** An integer, thousands set apart. Loading what the system knows of languages for that would take a start 30 ms. */
export function formatNumber(count: number): string {
  return String(count).replace(/\B(?=(?:\d{3})+$)/g, ',');
}
