import type { Topology } from '../format/topology.ts';
import type { ListedView } from './compare-lists.ts';
import { pairs, secretly } from './server-views.ts';

/** The Heat stack: its texts are told to have changed, not shown. */
export function stackViews({ stack }: Topology): ListedView[] {
  return [
    {
      ...{ part: 'stack', kind: 'stack' },
      objects:
        stack === undefined
          ? []
          : [
              {
                ...{ id: stack.id, name: stack.name },
                fields: {
                  ...{ name: stack.name, description: stack.description, template: secretly(stack.template) },
                  environment: secretly(stack.environment),
                  files: stack.files === undefined ? undefined : { secret: pairs(stack.files).sort().join('\n') },
                },
                sets: { parameter: pairs(stack.parameters), tag: stack.tags },
              },
            ],
    },
    {
      ...{ part: 'stack.resources', kind: 'resource' },
      objects: (stack?.resources ?? []).map(({ name, path, type, id, status }) => ({
        id: [...path, name].join('/'),
        name: [...path, name].join('/'),
        ...{ fields: { type, state: stateOf(status), id }, sets: {} },
      })),
    },
  ];
}

/** An update of a stack that changes nothing of a resource still makes `UPDATE_COMPLETE` of `CREATE_COMPLETE`. */
function stateOf(status: string): string {
  return status.endsWith('_COMPLETE') ? 'complete' : status;
}
