import { parse } from 'yaml';
import { MASKED, type Properties } from '#vault/format/topology.ts';
import { type Said, said, textsIn } from './said.ts';

/** Larger files are no templates of people, and not worth the time. */
const LARGEST_TEMPLATE = 512 * 1024;

/**
 * Names of parameters that a template or one nested in it calls hidden, or that Heat shows masked: their values are nobody's business, also
 * where Heat gives them away (it masks parameters of the stack, and not those of its environment). Where that cannot be told: all.
 */
export function hiddenIn(
  template: Said | undefined,
  environment: Said | undefined,
  files: Properties | undefined,
  shown: Properties,
): ReadonlySet<string> {
  const nested = Object.values(files ?? {})
    .filter(speaksOfHidden)
    .map(templateIn);
  const templates = [template, ...nested];
  const unclear = files === undefined || templates.includes(undefined);
  return new Set([
    ...templates.flatMap((each) => hiddenOf(each ?? {})),
    ...textsIn(environment ?? {}, 'encrypted_param_names'),
    ...Object.keys(shown).filter((name) => /^\*+$/.test(shown[name] ?? '')),
    ...(unclear ? WITH_VALUES.flatMap((section) => Object.keys(said(environment?.[section]))) : []),
  ]);
}

/** In Heat's own templates `hidden`, in those of AWS `NoEcho`. */
function hiddenOf(template: Said): string[] {
  const parameters = { ...said(template['parameters']), ...said(template['Parameters']) };
  return Object.keys(parameters).filter((name) => {
    const { hidden, NoEcho } = said(parameters[name]);
    return [hidden, NoEcho].some((value) => value === true || String(value).toLowerCase() === 'true');
  });
}

function speaksOfHidden(text: string): boolean {
  return /\b(hidden|NoEcho)\b/.test(text);
}

function templateIn(text: string): Said | undefined {
  if (text.length > LARGEST_TEMPLATE) return undefined;
  try {
    return said(parse(text, { logLevel: 'error' }));
  } catch {
    return undefined;
  }
}

const WITH_VALUES = ['parameters', 'parameter_defaults'] as const;

/** The environment with the values of hidden parameters masked. */
export function maskedEnvironment(environment: Said, hidden: ReadonlySet<string>): Said {
  const masked = WITH_VALUES.flatMap((section) => {
    if (environment[section] === undefined) return [];
    const values = Object.entries(said(environment[section]));
    return [[section, Object.fromEntries(values.map(([name, value]) => [name, hidden.has(name) ? MASKED : value]))]];
  });
  return { ...environment, ...Object.fromEntries(masked) };
}
