import { EkkoError } from '#vault/errors.ts';
import type { ServerTicket } from '#vault/export-ticket.ts';
import { imageName } from '#vault/images.ts';
import type { MomentRequest } from '#vault/staging/changed-block-source.ts';
import { giveUp, keepRecord, type MemberContext, passOf } from './member-context.ts';
import type { MemberReport, MemberState } from './member-report.ts';

/** The way of a member; `failed` leaves it anywhere. */
const WAY: readonly MemberState[] = ['prepared', 'frozen', 'checkpointed', 'held', 'exporting', 'staged', 'ended'];

/** Prepares the moment, unless that is done. */
export function prepareMember(context: MemberContext): Promise<void> {
  const { held, status, parts, oneByOne } = context;
  return oneByOne(async () => {
    if (held.holding || status.is('staged', 'ended')) return;
    const { ticket } = passOf(context);
    const disks = ticket.disks.map(({ name }) => ({ name, bytesTotal: 0, bytesDone: 0 }));
    status.set({ state: 'prepared', disks });
    try {
      // Known before anything is done, so that a death leaves a trace.
      await keepRecord(context);
      await held.prepare(requestOf(ticket, parts.auditShare));
    } catch (error) {
      await giveUp(context, error);
      throw error;
    }
    context.expire(parts.holdMs, 'The moment was prepared and not taken in time');
  });
}

function requestOf({ run, disks, quiesce, readAll }: ServerTicket, auditShare: number): MomentRequest {
  const pointsOf = (name: string) => disks.find((disk) => disk.name === name)?.points ?? [];
  return {
    ...{ run, quiesce, readAll, auditShare },
    known: (point, disk) => pointsOf(disk).find((one) => one.run === point)?.size,
    newest: (disk) => pointsOf(disk)[0]?.run,
    image: (digest) => disks.find(({ image }) => image?.name === imageName(digest))?.image,
  };
}

export function freezeMember(context: MemberContext): Promise<void> {
  return step(context, 'frozen', async () => {
    await context.held.steps().freeze();
    context.expire(context.parts.watchdogMs, 'The moment was not taken in time, and the guest was thawed');
  });
}

export function checkpointMember(context: MemberContext): Promise<void> {
  return step(context, 'checkpointed', () => context.held.steps().checkpoint());
}

/** Asked for before the checkpoint it means that the moment is not to be: then the guest is let go at once. */
export async function thawMember(context: MemberContext): Promise<void> {
  if (context.status.is('frozen')) {
    await context.oneByOne(() => giveUp(context, new EkkoError('busy', 'The guest was thawed before its checkpoint')));
  }
  return step(context, 'held', async () => {
    await context.held.steps().thaw();
    context.expire(context.parts.holdMs, 'Nobody asked for the export in time');
    // Looked at by the export.
    context.held.open().then(context.status.show, () => undefined);
  });
}

/** A step to the state after the present one; asked for again it does nothing. One that fails lets go of the guest. */
function step(context: MemberContext, to: MemberState, work: () => Promise<void>): Promise<void> {
  const { status, oneByOne } = context;
  return oneByOne(async () => {
    const ahead = WAY.indexOf(to) - WAY.indexOf(status.report.state);
    if (!status.is('failed') && ahead <= 0) return;
    if (status.is('failed') || ahead !== 1) throw outOfOrder(status.report, to);
    try {
      await work();
      status.set({ state: to });
    } catch (error) {
      await giveUp(context, error);
      throw error;
    }
  });
}

export function outOfOrder({ state, problem }: MemberReport, to: MemberState): EkkoError {
  const why = problem === undefined ? '' : ` (${problem.message})`;
  return new EkkoError('busy', `The server is ${state}${why}: it cannot become ${to} from there`);
}
