import { Router } from '@aws-lambda-powertools/event-handler/http';
import { codeOf, type ErrorCode } from '#vault/errors.ts';
import { handler as commit } from './handler.ts';

/** HTTP status by error code; what is not listed is a server's fault. */
const STATUS: Partial<Readonly<Record<ErrorCode, number>>> = {
  'bad-input': 400,
  'no-escrow': 403,
  'run-ended': 409,
  'run-incomplete': 409,
  condemned: 409,
  'audit-failed': 409,
  'part-refused': 422,
};

const app = new Router();

/** `POST /runs/<run>/commit`: answers with the restore point, or with problem+json (RFC 9457) whose `code` says why not. */
app.post('/runs/:run/commit', async ({ params }) => {
  try {
    return Response.json(await commit({ run: params['run'] }));
  } catch (error) {
    const code = codeOf(error);
    const status = (code === undefined ? undefined : STATUS[code]) ?? 500;
    const detail =
      code !== undefined && error instanceof Error ? error.message : 'The function failed; its log says why.';
    return new Response(JSON.stringify({ status, code: code ?? 'function-failed', detail }), {
      status,
      headers: { 'content-type': 'application/problem+json' },
    });
  }
});

/** The point-committer behind API Gateway or any host that speaks its events: for workflows, which can call nothing but HTTP. */
export const handler: typeof app.resolve = (event, context, options) => app.resolve(event, context, options);
