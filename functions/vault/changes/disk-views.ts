import type { RestorePoint } from '../format/point.ts';
import type { ListedView, Names, View } from './compare-lists.ts';

/** The disks that a point holds, and what it says it lacks; called by the names of servers and volumes where they are known. */
export function diskViews({ disks, missing = [] }: RestorePoint, names: Names): ListedView[] {
  const called = (disk: string) =>
    disk
      .split('/')
      .map((part) => names.get(part) ?? part)
      .join('/');
  const viewed = (name: string, fields: View['fields']): View => ({ id: name, name: called(name), fields, sets: {} });
  return [
    {
      ...{ part: 'disks', kind: 'disk' },
      objects: disks.map(({ name, diskSize }) => viewed(name, { size: { size: diskSize } })),
    },
    {
      ...{ part: 'missing', kind: 'disk', words: { added: 'is missing', removed: 'is not missing any more' } },
      objects: missing.map((name) => viewed(name, {})),
    },
  ];
}
