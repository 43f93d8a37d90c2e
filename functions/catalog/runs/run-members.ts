import pLimit from 'p-limit';
import { codeOf } from '#vault/errors.ts';
import { type MemberPlace, stateOfMember } from '../exporters/exporter-client.ts';
import type { RunMember, RunRecord } from '../registry/records.ts';
import { type MemberFinding, type MemberView, type RunView, viewMember, viewRun } from './run-view.ts';

/** A hypervisor's exporter is one process: groups are spread over many, and a moment wants all at once. */
const AT_ONCE = 64;

/** The members that an exporter works on. */
export function placesOf({ run, members, moment }: RunRecord): MemberPlace[] {
  return members.flatMap((member) => (moment?.problems[member.server] === undefined ? placeOf(run, member) : []));
}

export function placeOf(run: string, { server, host, exporter, problem }: RunMember): MemberPlace[] {
  return host === undefined || exporter === undefined || problem !== undefined ? [] : [{ run, server, host, exporter }];
}

/** Does something with each member at once; what failed is told in words, by server. Throws only what is wrong with the caller's token. */
export async function forEachMember(
  places: readonly MemberPlace[],
  work: (place: MemberPlace) => Promise<unknown>,
): Promise<Map<string, string>> {
  const problems = new Map<string, string>();
  await pLimit(AT_ONCE).map([...places], async (place) => {
    try {
      await work(place);
    } catch (error) {
      if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
      problems.set(place.server, error.message);
    }
  });
  return problems;
}

/** How the members of a run do. Of a run that has ended no exporter is asked. */
export async function membersOf(record: RunRecord, token: string): Promise<MemberView[]> {
  const findings = new Map<string, MemberFinding>();
  if (record.ended === undefined) {
    await pLimit(AT_ONCE).map(placesOf(record), async (place) =>
      findings.set(place.server, await findingOf(place, token)),
    );
  }
  return record.members.map((member) => viewMember(record, member, findings.get(member.server)));
}

/** The run as callers see it now. */
export async function lookAt(record: RunRecord, token: string): Promise<RunView> {
  return viewRun(record, await membersOf(record, token));
}

async function findingOf(place: MemberPlace, token: string): Promise<MemberFinding> {
  try {
    return { said: await stateOfMember(place, token) };
  } catch (error) {
    if (codeOf(error) === 'not-found') return { unknown: true };
    if (codeOf(error) === undefined || !(error instanceof Error)) throw error;
    return { silent: error.message };
  }
}
