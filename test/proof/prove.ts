// node test/proof/prove.ts [all]: explores who can overtake whom in a vault, and who may die when (docs/safety.md): a line for each scenario and
// each planted mistake. Ends with 1 when a scenario goes wrong, or a mistake is not found. Without `all`, what takes minutes is left out.
import { becomeDeterministic } from './determinism.ts';
import { explore, type Question } from './explore.ts';
import { MUTANTS } from './mutants.ts';
import { PROOFS, type Proof } from './proofs.ts';
import { questionOf, SCENARIOS, type Scenario } from './scenarios.ts';

function scenarioOf(beginning: string): Scenario {
  const scenario = SCENARIOS.find(({ name }) => name.startsWith(beginning));
  if (scenario === undefined) throw new Error(`There is no scenario "${beginning}".`);
  return scenario;
}

async function proveOne({ scenario: beginning, crashes, interruptions }: Proof): Promise<boolean> {
  const scenario = scenarioOf(beginning);
  const question: Question = {
    ...(await questionOf(scenario, crashes)),
    ...(interruptions === undefined ? {} : { interruptions }),
  };
  const { user } = process.cpuUsage();
  const { violation, outcomes, states, executions, depth } = await explore(question);
  const seconds = (process.cpuUsage().user - user) / 1e6;
  const unseen = interruptions === undefined ? scenario.sees.filter((outcome) => !outcomes.has(outcome)) : [];
  const bounds = `${crashes === 0 ? '' : `, ${crashes} crash${crashes > 1 ? 'es' : ''}`}${interruptions === undefined ? '' : `, ${interruptions} interruptions`}`;
  const size = `${states} states, ${executions.toPrecision(3)} executions, ${depth} deep, ${seconds.toFixed(1)} s of CPU`;
  console.log(`${violation || unseen.length > 0 ? 'WRONG' : 'holds'}  ${scenario.name}${bounds}: ${size}`);
  for (const line of violation ? [violation.problem, ...violation.schedule] : unseen) console.log(`       ${line}`);
  return violation === undefined && unseen.length === 0;
}

async function findMistakes(): Promise<boolean> {
  let well = true;
  for (const { name, scenario, faults, spoil, problem } of MUTANTS) {
    const { violation } = await explore(await questionOf(scenarioOf(scenario), faults, spoil));
    const found = violation !== undefined && problem.test(violation.problem);
    console.log(`${found ? 'found' : 'MISSED'}  ${name}`);
    if (!found && violation !== undefined) console.log(`       ${violation.problem}`);
    well &&= found;
  }
  return well;
}

becomeDeterministic();
let well = true;
const all = process.argv[2] === 'all';
for (const proof of PROOFS.filter(({ slow = false }) => all || !slow)) well = (await proveOne(proof)) && well;
well = (await findMistakes()) && well;
const { user, system } = process.cpuUsage();
console.log(`${((user + system) / 1e6).toFixed(0)} s of CPU in all`);
process.exitCode = well ? 0 : 1;
