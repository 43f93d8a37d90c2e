import { asRecord } from '#vault/store/swift/fields.ts';
import { type Cloud, reasonOf } from '../../cloud/open-cloud.ts';
import type { Finding } from '../finding.ts';

type Found = Omit<Finding, 'subject'>;

const NOT_THERE: Found = { verdict: 'note', found: 'was not looked at: no endpoint' };

/** Whether the project may use its account, and exporters can be given a right to write and nothing else. */
export async function probeSwift(cloud: Cloud): Promise<Found> {
  const url = cloud.endpoint('object-store');
  if (url === undefined) return NOT_THERE;
  const account = await cloud.call('GET', `${url}?limit=1`);
  if (account.status >= 300) {
    const advice = "Give the user one of the roles in the proxy's operator_roles, usually member.";
    return { verdict: 'wrong', found: `the account cannot be used: ${reasonOf(account)}`, advice };
  }
  const info = asRecord((await cloud.call('GET', `${new URL(url).origin}/info`)).body) ?? {};
  const tempurl = asRecord(info['tempurl']);
  if (tempurl === undefined) {
    const advice = 'Put tempurl into the pipeline of proxy-server.conf, before authtoken.';
    return { verdict: 'wrong', found: 'has no temporary URLs, by which exporters write', advice };
  }
  const version = String(asRecord(info['swift'])?.['version'] ?? 'of unknown version').slice(0, 40);
  const digests = Array.isArray(tempurl['allowed_digests']) ? tempurl['allowed_digests'] : [];
  if (!digests.includes('sha256')) {
    return {
      verdict: 'wrong',
      found: 'temporary URLs by SHA-256 are not allowed',
      advice: 'Add sha256 to allowed_digests of [filter:tempurl].',
    };
  }
  const bulk = asRecord(info['bulk_delete']) === undefined ? '; no bulk delete, so that sweeps take longer' : '';
  return { verdict: bulk === '' ? 'ok' : 'note', found: `${version}, temporary URLs${bulk}` };
}

/** Stores a secret that nobody needs, and takes it away again. */
export async function probeBarbican(cloud: Cloud): Promise<Found> {
  const url = cloud.endpoint('key-manager');
  if (url === undefined) return NOT_THERE;
  const expiration = new Date(Date.now() + 3_600_000).toISOString();
  const secret = { name: 'ekko-doctor', payload: 'of no worth', payload_content_type: 'text/plain', expiration };
  const made = await cloud.call('POST', `${url.replace(/\/v1$/, '')}/v1/secrets`, secret);
  if (made.status !== 201) {
    const advice =
      'Give the user the role creator, or set enforce_new_defaults = true in [oslo_policy] of barbican.conf, with which member will do.';
    return { verdict: 'wrong', found: `keeps no secret of this user: ${reasonOf(made)}`, advice };
  }
  const ref = String(asRecord(made.body)?.['secret_ref']);
  const read = await cloud.call('GET', `${ref}/payload`, undefined, { accept: 'text/plain' });
  const gone = await cloud.call('DELETE', ref);
  if (read.status === 200 && gone.status < 300) return { verdict: 'ok', found: 'keeps, shows and removes secrets' };
  const found = `a secret was stored, but not ${read.status === 200 ? `removed: ${reasonOf(gone)}` : `shown: ${reasonOf(read)}`}`;
  return {
    verdict: read.status === 200 ? 'note' : 'wrong',
    found,
    advice: 'Look at host_href of barbican.conf, and at its policy.',
  };
}
