import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { checkout } from '../setup/cache.ts';
import { type Answer, askService, callService } from './call-service.ts';

/** `heat-templates/` of this checkout. */
export const TEMPLATES = join(checkout, 'heat-templates');

/** Ekko's resource types, as `environments/ekko.yaml` maps them, in the way that Heat's API takes them; with more mappings. */
export function ekkoTypes(more: Readonly<Record<string, string>> = {}) {
  const names = ['vault.yaml', 'policy.yaml'];
  const files = Object.fromEntries(names.map((name) => [name, readFileSync(join(TEMPLATES, name), 'utf8')]));
  const ours = { 'Ekko::Backup::Vault': 'vault.yaml', 'Ekko::Backup::Policy': 'policy.yaml' };
  return { files, environment: { resource_registry: { ...ours, ...more } } };
}

export interface Stack {
  readonly stack_status: string;
  readonly stack_status_reason: string;
  readonly outputs?: readonly { readonly output_key: string; readonly output_value: unknown }[];
}

/** Stacks at the Heat of `url` (with the project), as the owner of the token. */
export interface Stacks {
  /** Resolves to the stack's own URL when it was begun. */
  create(name: string, template: object): Promise<string>;
  update(stack: string, template: object): Promise<void>;
  remove(stack: string): Promise<void>;
  /** Resolves when that has come to its end; a little after a request Heat still shows what was before. */
  settled(stack: string, action: 'CREATE' | 'UPDATE' | 'DELETE'): Promise<Stack>;
  call<T>(method: string, path: string, body: object): Promise<Answer<T>>;
}

export function stacksOf(url: string, token: string): Stacks {
  return {
    create: async (stack_name, template) => {
      const body = { stack_name, template, ...ekkoTypes() };
      type Made = { stack: { id: string } };
      const { stack } = await askService<Made>(token, 'POST', `${url}/stacks`, body);
      return `${url}/stacks/${stack_name}/${stack.id}`;
    },
    update: async (stack, template) => {
      await askService(token, 'PUT', stack, { template, ...ekkoTypes() });
    },
    remove: async (stack) => {
      await askService(token, 'DELETE', stack);
    },
    settled: async (stack, action) => {
      for (;;) {
        const { stack: found } = await askService<{ stack: Stack }>(token, 'GET', stack);
        if (new RegExp(`^${action}_(COMPLETE|FAILED)$`).test(found.stack_status)) return found;
        await pause(300);
      }
    },
    call: (method, path, body) => callService(token, method, `${url}/${path}`, body),
  };
}

export function outputOf({ outputs = [] }: Stack, key: string): unknown {
  return outputs.find(({ output_key }) => output_key === key)?.output_value;
}
