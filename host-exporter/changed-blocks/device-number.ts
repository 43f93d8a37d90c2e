/** Major and minor number of a device as stat gives it: glibc's gnu_dev_major and gnu_dev_minor. */
export function deviceNumber(device: bigint): { readonly major: number; readonly minor: number } {
  return {
    major: Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & ~0xfffn)),
    minor: Number((device & 0xffn) | ((device >> 12n) & ~0xffn)),
  };
}
