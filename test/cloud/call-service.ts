/** What a service answered; JSON is parsed. */
export interface Answer<T> {
  readonly status: number;
  /** Taken for granted to be what the caller says. */
  readonly body: T;
}

/** One request to a service, with a token: objects go as JSON, text and bytes as they are. Any status is an answer. */
export async function callService<T>(
  token: string,
  method: string,
  url: string,
  body?: object | string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<T>> {
  const plain = typeof body === 'string' || body instanceof Uint8Array;
  const type = typeof body === 'string' ? 'text/plain' : plain ? 'application/octet-stream' : 'application/json';
  const answer = await fetch(url, {
    method,
    headers: { 'x-auth-token': token, ...(body !== undefined && { 'content-type': type }), ...headers },
    ...(body !== undefined && { body: plain ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const json = answer.headers.get('content-type')?.includes('json') === true && text !== '';
  return { status: answer.status, body: (json ? JSON.parse(text) : text) as T };
}

/** Like `callService`, for what must go well: gives the body, throws for every status but 2xx. */
export async function askService<T>(...request: Parameters<typeof callService>): Promise<T> {
  const { status, body } = await callService<T>(...request);
  if (status < 200 || status > 299) throw new Error(`${request[1]} ${request[2]}: ${status} ${JSON.stringify(body)}`);
  return body;
}
