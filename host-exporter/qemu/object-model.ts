import type { QmpClient } from './qmp-client.ts';

/** A property of an object in QEMU's object model, as text; '' when it is not there, or is no text. */
export async function readTextProperty(qmp: QmpClient, path: string, property: string): Promise<string> {
  try {
    const value = await qmp.execute('qom-get', { path, property });
    return typeof value === 'string' ? value : '';
  } catch (error) {
    // Objects differ in their properties; a lost connection is another matter.
    if (qmp.closed) throw error;
    return '';
  }
}
