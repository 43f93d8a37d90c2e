import type { Answer, Step } from './stepping-store.ts';

/** A step and its answer as people read them: `create journal/7 → created`. */
export function describeStep(step: Step, answer: Answer): string {
  if (step.verb === 'list')
    return `list ${step.prefix} → ${answer.kind === 'listed' ? answer.objects.map(({ key }) => shortKey(key)).join(', ') || 'nothing' : answer.kind}`;
  if (step.verb === 'read')
    return `read journal after ${shortKey(step.after)} → ${answer.kind === 'entries' ? answer.contents.length : answer.kind} entries`;
  return `${step.verb} ${shortKey(step.key)} → ${answer.kind}`;
}

/** A key with its digits cut to what tells it from others. */
export function shortKey(key: string): string {
  return key
    .replace(/\/[0-9a-f]{2}\/([0-9a-f]{6})[0-9a-f]{58}/, '/$1…')
    .replace(/\/0+(\d+)(?=\/|$)/g, '/$1')
    .replace(/\d{8}-\d{6}-/, '…');
}
