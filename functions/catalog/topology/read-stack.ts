import { MASKED, type StackResource, type TopologyStack } from '#vault/format/topology.ts';
import type { Caller } from '../caller.ts';
import { placeOfStack } from '../cloud/stack-servers.ts';
import { hiddenIn, maskedEnvironment } from './hidden-parameters.ts';
import type { Questions } from './questions.ts';
import { allSaid, propertiesIn, type Said, said, textAs, textIn, textsIn } from './said.ts';

/** Deeper than Heat itself nests by default (5). */
const DEPTH = 10;

/** The stack of this name or id, with all that is nested in it. Never throws. */
export async function readStack(
  questions: Questions,
  caller: Caller,
  stack: string,
): Promise<TopologyStack | undefined> {
  const { service, attempt } = questions;
  const place = await attempt(['stack'], undefined, async () => placeOfStack(service('heat'), caller, stack));
  return place === undefined ? undefined : readFound(questions, place);
}

async function readFound({ ask, attempt }: Questions, place: string): Promise<TopologyStack | undefined> {
  const [answer, template, environment, files, resources] = await Promise.all([
    attempt(['stack'], undefined, () => ask('heat', place)),
    attempt(['stack.template'], undefined, () => ask('heat', `${place}/template`)),
    attempt(['stack.environment'], undefined, () => ask('heat', `${place}/environment`)),
    attempt(['stack.files'], undefined, () => ask('heat', `${place}/files`)),
    attempt(['stack.resources'], undefined, () => ask('heat', `${place}/resources?nested_depth=${DEPTH}`)),
  ]);
  if (answer === undefined) return undefined;
  const stack = said(answer['stack']);
  const texts = files === undefined ? undefined : propertiesIn(files);
  const parameters = propertiesIn(stack['parameters']);
  const hidden = hiddenIn(template, environment, texts, parameters);
  return {
    ...{ id: textIn(stack, 'id'), name: textIn(stack, 'stack_name') },
    ...textAs('description', stack, 'description'),
    ...(template === undefined ? {} : { template: JSON.stringify(template) }),
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, hidden.has(name) ? MASKED : value]),
    ),
    ...(environment === undefined ? {} : { environment: JSON.stringify(maskedEnvironment(environment, hidden)) }),
    ...(texts === undefined ? {} : { files: texts }),
    resources: resourcesOf(allSaid(resources?.['resources'])),
    tags: textsIn(stack, 'tags'),
  };
}

/** A resource says which stack it is in, and which it is one of its own; that gives the way down to it. */
function resourcesOf(resources: readonly Said[]): StackResource[] {
  const owners = new Map(resources.flatMap((resource) => linksOf(resource, 'nested').map((id) => [id, resource])));
  const pathOf = (resource: Said): string[] => {
    const path: string[] = [];
    for (let at = resource; path.length <= DEPTH; ) {
      const owner = owners.get(linksOf(at, 'stack')[0] ?? '');
      if (owner === undefined) break;
      path.unshift(textIn(owner, 'resource_name'));
      at = owner;
    }
    return path;
  };
  return resources.map((resource) => ({
    ...{ name: textIn(resource, 'resource_name'), path: pathOf(resource), type: textIn(resource, 'resource_type') },
    ...textAs('id', resource, 'physical_resource_id'),
    status: textIn(resource, 'resource_status'),
  }));
}

/** Ids of the stacks that links of this kind lead to: `…/stacks/<name>/<id>`. */
function linksOf(resource: Said, kind: string): string[] {
  const links = allSaid(resource['links']).filter((link) => link['rel'] === kind);
  return links.map((link) => textIn(link, 'href').split('/').at(-1) ?? '').filter((id) => id !== '');
}
