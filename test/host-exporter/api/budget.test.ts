import { expect, test, vi } from 'vitest';
import { createBudget } from '../../../host-exporter/api/budget.ts';

test('those who read at the same time share the bandwidth', async () => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'Date'] });
  try {
    const budget = createBudget(1000);
    let taken = 0;
    const reader = async () => {
      for (let at = 0; at < 10; at++) {
        await budget.take(100);
        taken += 100;
      }
    };
    const both = Promise.all([reader(), reader()]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(taken).toBeGreaterThanOrEqual(800);
    expect(taken).toBeLessThanOrEqual(1200);
    await vi.advanceTimersByTimeAsync(1200);
    await both;
    expect(taken).toBe(2000);
  } finally {
    vi.useRealTimers();
  }
});

test('without a bandwidth nobody waits', async () => {
  await createBudget(0).take(2 ** 40);
});
