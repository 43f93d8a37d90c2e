import { readFile } from 'node:fs/promises';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { EkkoError } from '../../errors.ts';

/**
 * Trusts the certificate authorities in a PEM file, beside the usual ones, from now on in this thread: the library that makes
 * containers takes no authority of its own. Throws `bad-input`.
 */
export async function trustAuthority(file: string): Promise<void> {
  const text = await readFile(file, 'utf8').catch(() => '');
  const found = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (found.length === 0)
    throw new EkkoError('bad-input', `OS_CACERT: ${file} has no certificate in PEM, or cannot be read.`);
  const trusted = getCACertificates('default');
  const known = new Set(trusted.map(plain));
  setDefaultCACertificates([...trusted, ...found.filter((each) => !known.has(plain(each)))]);
}

const plain = (certificate: string) => certificate.replace(/\s/g, '');
