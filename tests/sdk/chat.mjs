// Drives the providers' own SDKs through a weir node, with nothing changed but the base URL, and prints what came of it as
// one JSON object. usage: node chat.mjs http://127.0.0.1:PORT OPENAI_PREFIX ANTHROPIC_PREFIX
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const [node, openaiPrefix, anthropicPrefix] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${node}${openaiPrefix}/v1`, apiKey: 'sk-test', maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: `${node}${anthropicPrefix}`, apiKey: 'sk-test', maxRetries: 0 });
const messages = [{ role: 'user', content: 'hello' }];
const found = { openai: { errors: {} }, anthropic: { errors: {} } };

async function failure(call) {
  try {
    await call();
    return 'no error';
  } catch (e) {
    return { name: e.constructor.name, status: e.status ?? null, code: e.code ?? null, retryAfter: e.headers?.get?.('retry-after') ?? null };
  }
}

async function askOpenAI() {
  const out = found.openai;
  const answer = await openai.chat.completions.create({ model: 'mock-fast', messages });
  out.chat = answer.choices[0].message.content;
  out.usage = answer.usage.completion_tokens;
  out.requestId = answer._request_id ?? null;
  out.deltas = [];
  const stream = await openai.chat.completions.create({
    model: 'mock-fast', messages, stream: true, stream_options: { include_usage: true },
  });
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) out.deltas.push(chunk.choices[0].delta.content);
    if (chunk.usage) out.streamUsage = chunk.usage.completion_tokens;
  }
  out.embedding = (await openai.embeddings.create({ model: 'mock-embed', input: 'hello' })).data[0].embedding;
  out.models = (await openai.models.list()).data.map((m) => m.id);
  for (const status of [400, 401, 403, 404, 429, 500, 503]) {
    out.errors[status] = await failure(() => openai.chat.completions.create({ model: `mock-${status}`, messages }));
  }
  out.errors.reset = await failure(() => openai.chat.completions.create({ model: 'mock-reset-before-head', messages }));
  out.errors.stream = await failure(async () => {
    const broken = await openai.chat.completions.create({ model: 'mock-error-event', messages, stream: true });
    for await (const chunk of broken) void chunk;
  });
  out.errors.truncated = await failure(async () => {
    const cut = await openai.chat.completions.create({ model: 'mock-truncate', messages, stream: true });
    for await (const chunk of cut) void chunk;
  });
}

async function askAnthropic() {
  const out = found.anthropic;
  const asked = { model: 'mock-fast', max_tokens: 100, messages };
  const answer = await anthropic.messages.create(asked);
  out.chat = answer.content[0].text;
  out.usage = answer.usage.output_tokens;
  out.deltas = [];
  const stream = anthropic.messages.stream(asked);
  stream.on('text', (text) => out.deltas.push(text));
  out.final = (await stream.finalMessage()).content[0].text;
  out.events = [];
  for await (const event of await anthropic.messages.create({ ...asked, stream: true })) out.events.push(event.type);
  for (const status of [400, 401, 403, 404, 429, 500, 529]) {
    out.errors[status] = await failure(() => anthropic.messages.create({ ...asked, model: `mock-${status}` }));
  }
  out.errors.reset = await failure(() => anthropic.messages.create({ ...asked, model: 'mock-reset-before-head' }));
  out.errors.stream = await failure(async () => {
    for await (const event of await anthropic.messages.create({ ...asked, model: 'mock-error-event', stream: true })) void event;
  });
}

// A stream that its reader leaves: the SDK drops the connection.
async function leave() {
  const stream = await openai.chat.completions.create(
    { model: 'mock-fast', messages, stream: true },
    { headers: { 'x-mock-tokens': '1000000', 'x-mock-token-interval-ms': '5' } },
  );
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) break;
  }
  found.left = true;
}

await askOpenAI();
await askAnthropic();
await leave();
console.log(JSON.stringify(found));
