import type { Caller } from '../caller.ts';
import { callForResult, callService, type ServiceAnswer } from './call-service.ts';

/** A service of the cloud, asked with the caller's own token. */
export interface CloudService {
  /** For messages: `Nova`. */
  readonly name: string;
  /** As the settings give it. */
  readonly endpoint: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Ends calls before their time. */
  readonly signal?: AbortSignal;
}

/** What `GET <endpoint><path>` answers with 2xx. Throws as `callForResult`. */
export async function getFromCloud(service: CloudService, caller: Caller, path: string): Promise<unknown> {
  return (await callForResult(callOf(service, caller, path))).body;
}

/** The same, be the answer an error or not. */
export function askCloud(service: CloudService, caller: Caller, path: string): Promise<ServiceAnswer> {
  return callService(callOf(service, caller, path));
}

/** A call of the service with the caller's token, to be completed and made by whoever asks. */
export function callOf({ name, endpoint, headers, signal }: CloudService, caller: Caller, path: string) {
  const url = endpointFor(endpoint, caller) + path;
  return {
    ...{ service: name, url, headers: { ...headers, 'x-auth-token': caller.token } },
    ...(signal === undefined ? {} : { signal }),
  };
}

/** The endpoint as the caller's project has it. */
export function endpointFor(endpoint: string, { project }: Caller): string {
  // A project's id comes from Keystone; encoded all the same, so that it stays one part of the path.
  return endpoint.replace(/[%$]\((project_id|tenant_id)\)s/g, encodeURIComponent(project)).replace(/\/$/, '');
}
