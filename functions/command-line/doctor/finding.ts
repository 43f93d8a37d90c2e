import { plainText } from '../text/plain-text.ts';

/** One thing that was looked at, in words. */
export interface Finding {
  /** A word or two: `create race`, `journal`. */
  readonly subject: string;
  /** `note`: nothing is wrong, but somebody may want to know. */
  readonly verdict: 'ok' | 'note' | 'wrong';
  readonly found: string;
  /** What to do. */
  readonly advice?: string;
}

const MARKS = { ok: 'ok  ', note: 'note', wrong: 'BAD ' } as const;

/** A line a finding, and what to do below it. */
export function describeFindings(findings: readonly Finding[]): string[] {
  const width = Math.max(0, ...findings.map(({ subject }) => subject.length));
  return findings.flatMap(({ subject, verdict, found, advice }) => {
    const line = `${MARKS[verdict]}  ${subject.padEnd(width)}  ${plainText(found)}`;
    return advice === undefined ? [line] : [line, `${' '.repeat(width + 8)}${advice}`];
  });
}

/** Does `look`; an error becomes a finding that something is wrong. */
export async function findingOf(subject: string, look: () => Promise<Omit<Finding, 'subject'>>): Promise<Finding> {
  try {
    return { subject, ...(await look()) };
  } catch (error) {
    return { subject, verdict: 'wrong', found: error instanceof Error ? error.message : String(error) };
  }
}
