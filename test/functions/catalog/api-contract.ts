import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { openApi } from '../../../functions/catalog/openapi.ts';
import { ROUTES } from '../../../functions/catalog/routes.ts';

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content: Readonly<Record<string, unknown>> }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

const document = openApi(ROUTES, 'https://ekko.example.org') as Document;
const ajv = new Ajv2020({ strict: false, allErrors: true });
ajv.addSchema({ $id: 'https://ekko.test/openapi', ...document });
const compiled = new Map<string, ValidateFunction>();

/** Throws unless the OpenAPI document promises such an answer of such a call. Unknown paths may be answered by 404. */
export function checkAnswer(method: string, path: string, status: number, type: string, body: unknown): void {
  const template = templateOf(path);
  const operation = template === undefined ? undefined : document.paths[template]?.[method.toLowerCase()];
  if (template === undefined || operation === undefined) {
    if (status !== 404) throw new Error(`${method} ${path} is not in the document, and was answered ${status}`);
    return;
  }
  const content = operation.responses[status]?.content;
  if (content === undefined)
    throw new Error(
      `${method} ${template} is answered ${status}, which the document does not name: ${JSON.stringify(body)}`,
    );
  const [media = ''] = Object.keys(content);
  if (type.split(';')[0] !== media && media !== 'application/json')
    throw new Error(`${method} ${template} answers ${type} instead of ${media}`);
  const pointer = ['paths', template, method.toLowerCase(), 'responses', String(status), 'content', media, 'schema'];
  const reference = `https://ekko.test/openapi#/${pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
  const check = compiled.get(reference) ?? ajv.compile({ $ref: reference });
  compiled.set(reference, check);
  if (!check(body))
    throw new Error(`${method} ${template} ${status}: ${ajv.errorsText(check.errors)} in ${JSON.stringify(body)}`);
}

function templateOf(path: string): string | undefined {
  const bare = path.split('?')[0] ?? '';
  return Object.keys(document.paths).find((template) =>
    new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+').replaceAll('.', '\\.')}$`).test(bare),
  );
}
