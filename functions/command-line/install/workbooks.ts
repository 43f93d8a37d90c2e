import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMap, isSeq, parseDocument, visit } from 'yaml';
import { EkkoError } from '#vault/errors.ts';
import { sourcePath } from '../../host/bundles.ts';

/** A workbook of this release, as it is uploaded. */
export interface Workbook {
  /** `ekko.backup.v1` */
  readonly name: string;
  readonly text: string;
  /** Full names of what is in it. */
  readonly workflows: readonly string[];
  readonly actions: readonly string[];
}

/** What only the operator knows: defaults of the workflows' inputs, by their names. */
export interface Places {
  /** URL of Ekko's API, as Mistral's executors reach it. */
  readonly catalog: string;
  /** URL of Zaqar without `/v2`, `''` where there is none. */
  readonly zaqar?: string;
  /** `host:port` of a mail server that takes mail without a password. */
  readonly mail_server?: string;
  readonly mail_from?: string;
}

/** The workbooks of this release, with the operator's places put in. */
export async function readWorkbooks(places: Places, folder = sourcePath('mistral-workbooks')): Promise<Workbook[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.yaml')).sort();
  return Promise.all(files.map(async (file) => workbookOf(await readFile(join(folder, file), 'utf8'), places)));
}

/** One workbook; its comments stay. */
export function workbookOf(source: string, places: Places): Workbook {
  const document = parseDocument(source);
  const values: Readonly<Record<string, unknown>> = { ...places };
  visit(document, {
    Pair(_, { key, value }) {
      if (String(key) !== 'input' || !isSeq(value)) return;
      for (const input of value.items) {
        if (!isMap(input)) continue;
        for (const name of Object.keys(values)) if (input.has(name)) input.set(name, values[name]);
      }
    },
  });
  const {
    name,
    workflows = {},
    actions = {},
  } = document.toJS() as { name: string; workflows?: object; actions?: object };
  const full = (parts: object) => Object.keys(parts).map((part) => `${name}.${part}`);
  return { name, text: document.toString({ lineWidth: 0 }), workflows: full(workflows), actions: full(actions) };
}

/** Throws `bad-input` for what is no URL of a catalog. */
export function checkCatalogUrl(url: string | undefined): string {
  const plain = plainUrl(url);
  if (plain !== undefined) return plain;
  const found = url === undefined ? 'is not given' : 'is no http: or https: URL without credentials and query';
  throw new EkkoError(
    'bad-input',
    `The URL of Ekko's catalog ${found}: name it by --catalog or EKKO_CATALOG, as Mistral's executors reach it.`,
  );
}

/** Throws `bad-input` for what is no URL of a Zaqar. With its version at the end every message would be lost. */
export function checkZaqarUrl(url: string): string {
  const plain = plainUrl(url);
  if (plain !== undefined && !/\/v[\d.]+$/.test(plain)) return plain;
  throw new EkkoError(
    'bad-input',
    'The URL of Zaqar is no http: or https: URL without version, credentials and query: name it by --zaqar as https://zaqar.example.org:8888.',
  );
}

function plainUrl(url: string | undefined): string | undefined {
  const usable = url !== undefined && URL.canParse(url) && /^https?:\/\/[^@?#\s]+$/.test(url);
  return usable ? url.replace(/\/+$/, '') : undefined;
}
