import { codeOf } from '#vault/errors.ts';
import { exportMember } from './export-member.ts';
import { giveUp, keepRecord, type MemberContext, passOf, renewTicket, setFailed } from './member-context.ts';
import { outOfOrder } from './member-steps.ts';

/** Begins the export, or tries one again that failed while its moment is held. Throws `busy` out of order; does not wait for its end. */
export function beginExport(context: MemberContext): void {
  const { status, parts } = context;
  if (status.is('exporting', 'staged', 'ended')) return;
  if (!status.is('held') && status.report.retryable !== true) throw outOfOrder(status.report, 'exporting');
  passOf(context);
  context.stopTimer();
  status.set({ state: 'exporting' });
  void parts.exports(() => exportNow(context));
}

async function exportNow(context: MemberContext): Promise<void> {
  const { parts, status, held, oneByOne } = context;
  try {
    const moment = await held.open();
    status.show(moment);
    await exportMember({
      ...{ moment, ticket: passOf(context).ticket, budget: parts.budget, progress: status.addProgress },
      staging: parts.stagingFor(
        () => passOf(context).ticket,
        () => renewTicket(context),
      ),
      notice: (key) => passOf(context).access.notify(key),
      ask: (disk, question) => passOf(context).access.ask(disk, question),
      known: status.addKnown,
    });
    await oneByOne(() => finishExport(context));
  } catch (error) {
    await oneByOne(() => failExport(context, error)).catch(() => undefined);
  }
}

/** All is staged: QEMU has nothing to hold any more, and Nova's operations do not have to wait. */
async function finishExport(context: MemberContext): Promise<void> {
  if (context.ending || !context.status.is('exporting')) return;
  await context.held.letGo('undecided');
  context.status.set({ state: 'staged' });
  await keepRecord(context);
}

async function failExport(context: MemberContext, error: unknown): Promise<void> {
  if (context.ending || !context.status.is('exporting')) return;
  // Where QEMU shows nothing any more there is nothing to try again.
  if (codeOf(error) === 'qemu-failed' || !context.held.holding) return giveUp(context, error);
  await setFailed(context, error, true);
  context.expire(context.parts.holdMs, 'The failed export was not tried again in time');
}
