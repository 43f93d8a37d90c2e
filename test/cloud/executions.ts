import { setTimeout as pause } from 'node:timers/promises';
import pLimit from 'p-limit';
import { askService } from './call-service.ts';

/** An execution of a workflow as Mistral's API shows it. */
export interface Execution {
  readonly id: string;
  readonly workflow_name: string;
  readonly state: string;
  readonly state_info: string | null;
  /** JSON. */
  readonly output: string;
  readonly created_at: string;
}

/** Executions at the Mistral of `url`, as the owner of the token. */
export interface Executions {
  start(workflow: string, input: object): Promise<string>;
  /** Resolves when it has come to its end, with its output parsed. */
  ended(id: string): Promise<Execution & { readonly result: Record<string, unknown> }>;
  run(workflow: string, input: object): Promise<Execution & { readonly result: Record<string, unknown> }>;
  cancel(id: string): Promise<void>;
  list(workflow: string): Promise<Execution[]>;
  /** Every field of every execution, task and action that the API shows, one a line. */
  everything(): Promise<string>;
  /** Likewise of one execution and all that it started. */
  allOf(id: string): Promise<string>;
}

const AT_ONCE = 8;

export function executionsOf(url: string, token: string): Executions {
  const get = <T>(path: string) => askService<T>(token, 'GET', `${url}/${path}`);
  const executions: Executions = {
    start: async (workflow_name, input) => {
      const body = { workflow_name, input: JSON.stringify(input) };
      return (await askService<{ id: string }>(token, 'POST', `${url}/executions`, body)).id;
    },
    ended: async (id) => {
      // Each question is work for Mistral, too: one that goes on for long is asked about less often.
      for (let wait = 100; ; wait = Math.min(1.2 * wait, 1000)) {
        const found = await get<Execution>(`executions/${id}`);
        if (found.state !== 'RUNNING' && found.state !== 'IDLE') return { ...found, result: JSON.parse(found.output) };
        await pause(wait);
      }
    },
    run: async (workflow, input) => executions.ended(await executions.start(workflow, input)),
    cancel: async (id) => {
      await askService(token, 'PUT', `${url}/executions/${id}`, { state: 'CANCELLED' });
    },
    list: async (workflow) =>
      (await get<{ executions: Execution[] }>(`executions?workflow_name=${workflow}&sort_keys=created_at`)).executions,
    everything: () => everythingOf('executions?sort_keys=created_at'),
    allOf: async (id) =>
      `${await fieldsOf(id)}\n${await everythingOf(`executions?root_execution_id=${id}&sort_keys=created_at`)}`,
  };

  async function everythingOf(path: string): Promise<string> {
    const { executions: all } = await get<{ executions: Execution[] }>(path);
    // More at once than Mistral has connections to its database wait for one another, and some in vain.
    const limit = pLimit(AT_ONCE);
    return (await Promise.all(all.map(({ id }) => limit(() => fieldsOf(id))))).join('\n');
  }

  async function fieldsOf(id: string): Promise<string> {
    // A list of tasks lacks but their results, which are the outputs of actions and executions, and what they publish globally, which the execution shows.
    const { tasks } = await get<{ tasks: { id: string }[] }>(`executions/${id}/tasks`);
    const found: unknown[] = [await get<object>(`executions/${id}`), tasks];
    for (const task of tasks) {
      found.push(await get<object>(`action_executions?task_execution_id=${task.id}&include_output=true`));
    }
    return JSON.stringify(found);
  }

  return executions;
}
