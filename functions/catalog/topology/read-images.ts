import type { TopologyImage } from '#vault/format/topology.ts';
import type { Questions } from './questions.ts';
import { allSaid, countAs, countIn, propertiesIn, type Said, textAs, textIn } from './said.ts';

/** Ids in one question: Glance takes them in one value. */
const IDS_AT_ONCE = 50;
/** What every image has, and what tells nothing of how to make it again. */
const NO_PROPERTIES: ReadonlySet<string> = new Set([
  ...['id', 'name', 'status', 'visibility', 'protected', 'checksum', 'owner', 'size', 'virtual_size', 'tags', 'stores'],
  ...['container_format', 'disk_format', 'created_at', 'updated_at', 'min_disk', 'min_ram', 'self', 'file', 'schema'],
  ...['os_hidden', 'os_hash_algo', 'os_hash_value', 'locations', 'direct_url', 'owner_specified.openstack.md5'],
]);

/** The metadata of the images of these ids that are there. Never throws. */
export function readImages(questions: Questions, ids: readonly string[]): Promise<TopologyImage[]> {
  return questions.attempt(['images'], [], async () => {
    const found: TopologyImage[] = [];
    for (let at = 0; at < ids.length; at += IDS_AT_ONCE) {
      const some = ids
        .slice(at, at + IDS_AT_ONCE)
        .map(encodeURIComponent)
        .join(',');
      const answer = await questions.ask('glance', `/v2/images?limit=${IDS_AT_ONCE}&id=in:${some}`);
      found.push(...allSaid(answer?.['images']).map(imageOf));
    }
    const there = new Set(found.map(({ id }) => id));
    for (const id of ids) if (!there.has(id)) questions.omit(`images.${id}`, 'Glance has no such image any more.');
    return found;
  });
}

function imageOf(image: Said): TopologyImage {
  const others = Object.entries(image).filter(([name]) => !NO_PROPERTIES.has(name));
  return {
    ...{ id: textIn(image, 'id'), name: textIn(image, 'name') },
    ...textAs('diskFormat', image, 'disk_format'),
    ...textAs('containerFormat', image, 'container_format'),
    ...countAs('size', image, 'size'),
    ...textAs('checksum', image, 'checksum'),
    ...{ minDiskGiB: countIn(image, 'min_disk'), minRamMiB: countIn(image, 'min_ram') },
    ...textAs('visibility', image, 'visibility'),
    properties: propertiesIn(Object.fromEntries(others)),
  };
}
