// Reads ExportTraceServiceRequests as JSON, one a line, and holds each to OpenTelemetry's own definition of it: what that
// does not know, or would read as something else, is told. usage: node otlp.mjs <FILE
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';
import root from '@opentelemetry/otlp-transformer/build/src/generated/root.js';

const Request = root.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
const IDS = ['traceId', 'spanId', 'parentSpanId'];

// OTLP/JSON has ids in hexadecimal, where JSON of protocol buffers has base64.
function mapIds(request, convert) {
  for (const resource of request.resourceSpans)
    for (const scope of resource.scopeSpans)
      for (const span of scope.spans)
        for (const id of IDS) if (span[id] !== undefined) span[id] = convert(span[id]);
  return request;
}

let spans = 0;
for await (const line of createInterface({ input: process.stdin })) {
  const given = JSON.parse(line);
  const message = Request.fromObject(mapIds(JSON.parse(line), (hex) => Buffer.from(hex, 'hex')));
  const read = Request.decode(Request.encode(message).finish());
  const back = mapIds(Request.toObject(read, { longs: String }), (bytes) => Buffer.from(bytes).toString('hex'));
  assert.deepEqual(back, given);
  for (const resource of given.resourceSpans)
    for (const scope of resource.scopeSpans)
      for (const span of scope.spans) {
        spans++;
        assert.match(span.traceId, /^[0-9a-f]{32}$/);
        assert.match(span.spanId, /^[0-9a-f]{16}$/);
        assert.ok(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano));
      }
}
console.log(JSON.stringify({ spans }));
