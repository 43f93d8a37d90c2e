import { KIND_WORDS } from '#vault/keys/wanted-keys.ts';
import { formatCount } from '../text/sizes.ts';
import type { DrillReport, EpochDrill } from './check-key.ts';

/** In words whether the key restores the vault, and what was looked at to say so. */
export function describeDrill(report: DrillReport): string[] {
  const { key, kind, entries, points, epochs, segments, missing } = report;
  const objects = epochs.reduce((sum, each) => sum + each.objects, 0);
  const looked =
    `${formatCount(objects, 'object')} and ${formatCount(segments, 'segment')} opened, ` +
    `${formatCount(entries, 'entry', 'entries')} of the journal read`;
  const given = `${KIND_WORDS[kind]} (${key})`;
  const verdict =
    missing.length > 0
      ? `This ${given} opens the vault, but not all that a restore needs: ${epochText(epochs)}, ${looked}.`
      : `This ${given} restores this vault: ${epochText(epochs)}, ${looked}.`;
  return [
    verdict,
    ...epochs.map(epochLine),
    ...(points === 0 ? ['There is no restore point yet: try again when there is one.'] : []),
    ...(missing.length > 0 ? ['', ...missing, 'Run `ekko verify` to learn what it costs.'] : []),
  ];
}

function epochText(epochs: readonly EpochDrill[]): string {
  return epochs.length === 1 ? 'key epoch 1' : `key epochs 1-${epochs.length}`;
}

function epochLine({ epoch, at, objects }: EpochDrill): string {
  const found = objects === 0 ? 'nothing that a restore needs was found' : `${formatCount(objects, 'object')} opened`;
  return `  epoch ${epoch}, since ${at.slice(0, 10)}: ${found}`;
}
