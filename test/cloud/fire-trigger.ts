import { askService } from './call-service.ts';
import type { MistralSettings } from './mistral.ts';
import { runSql } from './sql-server.ts';

interface WithMistral {
  readonly mistral: MistralSettings;
}

/** One of a project's schedules as Mistral shows it. */
export interface Trigger {
  readonly name: string;
  readonly pattern: string;
  readonly workflow_name: string;
  readonly workflow_input: string;
}

/** The schedules of a workflow that the owner of the token sees. */
export async function triggersOf({ mistral }: WithMistral, token: string, workflow: string): Promise<Trigger[]> {
  const url = `${mistral.url}/cron_triggers`;
  const { cron_triggers } = await askService<{ cron_triggers: Trigger[] }>(token, 'GET', url);
  return cron_triggers.filter(({ workflow_name }) => workflow_name === workflow);
}

/** Lets a schedule be due now; Mistral looks each second. */
export async function fireTrigger({ mistral }: WithMistral, { name }: Pick<Trigger, 'name'>): Promise<void> {
  const sql = 'UPDATE cron_triggers_v2 SET next_execution_time = ? WHERE name = ?';
  await runSql(mistral.database, sql, ['2020-01-01 00:00:00', name]);
}
