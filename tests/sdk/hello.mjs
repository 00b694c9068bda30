// A chat and a stream with each of the providers' own SDKs, through whatever is at a base URL; prints what came of them as one
// JSON object, and fails when a stream says something else than the chat, or comes in one piece.
// usage: node hello.mjs http://127.0.0.1:PORT
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';
import OpenAI from 'openai';

const url = process.argv[2];
const messages = [{ role: 'user', content: 'hello' }];

async function askOpenAI() {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'sk-test', maxRetries: 0 });
  const asked = { model: 'gpt-4o-mini', messages };
  const chat = (await openai.chat.completions.create(asked)).choices[0].message.content;
  const deltas = [];
  for await (const chunk of await openai.chat.completions.create({ ...asked, stream: true })) {
    if (chunk.choices[0]?.delta?.content) deltas.push(chunk.choices[0].delta.content);
  }
  return { chat, deltas };
}

async function askAnthropic() {
  const anthropic = new Anthropic({ baseURL: url, apiKey: 'sk-test', maxRetries: 0 });
  const asked = { model: 'claude-3-5-haiku-latest', max_tokens: 64, messages };
  const chat = (await anthropic.messages.create(asked)).content[0].text;
  const deltas = [];
  const stream = anthropic.messages.stream(asked).on('text', (text) => deltas.push(text));
  await stream.finalMessage();
  return { chat, deltas };
}

const found = { openai: await askOpenAI(), anthropic: await askAnthropic() };
for (const { chat, deltas } of Object.values(found)) {
  assert.notEqual(chat, '');
  assert.equal(deltas.join(''), chat);
  assert.ok(deltas.length > 1);
}
console.log(JSON.stringify(found));
