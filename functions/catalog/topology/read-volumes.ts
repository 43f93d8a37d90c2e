import type { TopologyVolume } from '#vault/format/topology.ts';
import { findById } from './find-by-id.ts';
import type { Questions } from './questions.ts';
import { allSaid, countIn, flagIn, propertiesIn, type Said, textAs, textIn } from './said.ts';

export interface FoundVolume extends TopologyVolume {
  /** `/dev/vdb`, by server. */
  readonly devices: ReadonlyMap<string, string>;
}

const GIB = 1024 ** 3;

/** The volumes of these ids that are there. Never throws. */
export async function readVolumes(questions: Questions, ids: readonly string[]): Promise<FoundVolume[]> {
  if (ids.length === 0) return [];
  const found = await questions.attempt(['volumes'], undefined, () => findById(questions, 'volume', ids));
  const volumes = (found ?? []).map(volumeOf);
  const there = new Set(volumes.map(({ id }) => id));
  if (found === undefined) return [];
  for (const id of ids) if (!there.has(id)) questions.omit(`volumes.${id}`, 'Cinder has no such volume any more.');
  return volumes;
}

function volumeOf(volume: Said): FoundVolume {
  return {
    ...{ id: textIn(volume, 'id'), name: textIn(volume, 'name'), size: countIn(volume, 'size') * GIB },
    ...textAs('description', volume, 'description'),
    ...textAs('type', volume, 'volume_type'),
    ...{ bootable: flagIn(volume, 'bootable'), encrypted: flagIn(volume, 'encrypted') },
    multiattach: flagIn(volume, 'multiattach'),
    ...textAs('availabilityZone', volume, 'availability_zone'),
    metadata: propertiesIn(volume['metadata']),
    imageMetadata: propertiesIn(volume['volume_image_metadata']),
    devices: new Map(allSaid(volume['attachments']).map((each) => [textIn(each, 'server_id'), textIn(each, 'device')])),
  };
}
