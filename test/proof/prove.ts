// node test/proof/prove.ts [all]: explores who can overtake whom in a vault (docs/safety.md), a line for each scenario and each planted mistake.
// Ends with 1 when a scenario goes wrong, or a mistake is not found. Without `all`, scenarios that take minutes are left out.
import { becomeDeterministic } from './determinism.ts';
import { explore } from './explore.ts';
import { MUTANTS } from './mutants.ts';
import { questionOf, SCENARIOS } from './scenarios.ts';

const QUICK = [
  'a writer that shares content with an expired point',
  'a mover, then a sweep, beside a writer',
  'somebody abandons a run',
  'undelete, expire and a legal hold',
  'a reader with a hold',
  'a part that is processed twice',
  'a run that starts while a sweep',
];

async function proveScenarios(all: boolean): Promise<boolean> {
  let well = true;
  for (const scenario of SCENARIOS.filter(({ name }) => all || QUICK.some((beginning) => name.startsWith(beginning)))) {
    const began = performance.now();
    const { violation, outcomes, states, executions, depth } = await explore(await questionOf(scenario, 0));
    const unseen = scenario.sees.filter((outcome) => !outcomes.has(outcome));
    const size = `${states} states, ${executions} executions, ${depth} deep, ${((performance.now() - began) / 1000).toFixed(1)} s`;
    console.log(`${violation || unseen.length > 0 ? 'WRONG' : 'holds'}  ${scenario.name}: ${size}`);
    for (const line of violation ? [violation.problem, ...violation.schedule] : unseen) console.log(`       ${line}`);
    well &&= violation === undefined && unseen.length === 0;
  }
  return well;
}

async function findMistakes(): Promise<boolean> {
  let well = true;
  for (const { name, scenario: beginning, faults, spoil, problem } of MUTANTS) {
    const scenario = SCENARIOS.find((each) => each.name.startsWith(beginning));
    if (scenario === undefined) throw new Error(`There is no scenario "${beginning}".`);
    const { violation } = await explore(await questionOf(scenario, faults, spoil));
    const found = violation !== undefined && problem.test(violation.problem);
    console.log(`${found ? 'found' : 'MISSED'}  ${name}`);
    well &&= found;
  }
  return well;
}

becomeDeterministic();
const proven = [await proveScenarios(process.argv[2] === 'all'), await findMistakes()];
process.exitCode = proven.every(Boolean) ? 0 : 1;
