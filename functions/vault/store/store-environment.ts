/** AWS and OpenStack have their settings and credentials in variables, or in files below the home folder; proxies are named here too. */
const READ_BY_STORES = /^(?:AWS_\w+|OS_\w+|HOME|PATH|(?:https?|no|HTTPS?|NO)_(?:proxy|PROXY))$/;

/** The variables that stores read, for a thread that does not get the whole environment. They hold credentials: keep them in memory. */
export function storeEnvironment(environment: NodeJS.ProcessEnv): Record<string, string> {
  const found = Object.entries(environment).filter(([name]) => READ_BY_STORES.test(name));
  return Object.fromEntries(found.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}
