import { describe, expect, test } from 'vitest';
import { openTokenChecker } from '../../../functions/catalog/cloud/token-checker.ts';
import type { KeystoneAccess } from '../../../functions/catalog/settings.ts';
import { addUser, callKeystone, type KeystoneSettings, logIn, revokeToken, useKeystone } from '../../cloud/keystone.ts';
import { lacks } from '../../setup/cache.ts';

describe.skipIf(lacks('keystone'))('with a real Keystone', () => {
  async function serviceUser(keystone: KeystoneSettings, user: string): Promise<KeystoneAccess> {
    const { token } = await logIn(keystone, keystone.admin);
    // Keystone of this release does not bring the role; whoever has it may look at tokens.
    await callKeystone(keystone, token, 'POST', '/roles', { role: { name: 'service' } }).catch(() => undefined);
    const { password, project } = await addUser(keystone, { user, project: 'service', role: 'service' });
    return { url: keystone.authUrl, user, password, project, user_domain: 'Default', project_domain: 'Default' };
  }

  test('a user with the role service checks tokens: whose they are, that they are none, that they were revoked', async () => {
    const keystone = await useKeystone();
    let now = Date.now();
    const tokens = openTokenChecker(await serviceUser(keystone, 'ekko-checks'), () => now);
    const { token, projectId, userId } = await logIn(keystone, keystone.member);
    const caller = await tokens.check(token);
    expect(caller).toMatchObject({ project: projectId, user: userId, token });
    expect(caller.roles).toContain('member');
    expect(caller.expiresAt).toBeGreaterThan(now);
    await expect(tokens.check('gAAAAAnone')).rejects.toMatchObject({ code: 'token-refused' });
    await revokeToken(keystone, token);
    now += 61_000;
    await expect(tokens.check(token)).rejects.toMatchObject({ code: 'token-refused' });
  });

  test('one without that role is told to the operator', async () => {
    const keystone = await useKeystone();
    const { password } = await addUser(keystone, { user: 'ekko-plain', project: 'service', role: 'member' });
    const access = { ...(await serviceUser(keystone, 'ekko-other')), user: 'ekko-plain', password };
    const { token } = await logIn(keystone, keystone.member);
    await expect(openTokenChecker(access).check(token)).rejects.toMatchObject({
      code: 'cloud-failed',
      message: expect.stringContaining('role service'),
    });
  });
});
