"""What there is to try in the demo: shown to whoever runs it, and run by scripts/demo --check, so that each of it works.

A step is a title and lines to type; behind a line stands what its output must hold once it has had its time.
"""

CHAT = """curl -fsS {url}/v1/chat/completions -H 'Content-Type: application/json' -H 'x-session-id: alice' \\
     -d '{{"model":"gpt-4o-mini",{more}"messages":[{{"role":"user","content":"hello"}}]}}'"""

LOAD = """echo '{{"model":"gpt-4o-mini","stream":true,"messages":[{{"role":"user","content":"hello"}}]}}' >build/demo-chat.json
   build/bin/weirctl bench {url}/v1/chat/completions --data build/demo-chat.json --requests 240 --clients 20 \\
     --sessions 50"""

STEPS = [
    ("A chat:", [
        (CHAT.replace("{more}", "") + " | jq .", r'"content": ".+"'),
    ]),
    ("The same as a stream; the tokens arrive one by one:", [
        (CHAT.replace("{more}", '"stream":true,').replace("curl", "curl -N"), r"data: \[DONE\]"),
    ]),
    ("The cluster, its nodes, and which of them serves which shards:", [
        ("{weirctl} status", r"3 of 3 alive"),
        ("{weirctl} nodes", r"node-1.*\n.*node-2.*\n.*node-3"),
        ("{weirctl} shards", r"48 shards, epoch \d+, by coordinator"),
    ]),
    ("The same in a browser, live: {url}/dashboard", [
        ("curl -sS {url}/dashboard | grep -oE '<title>.*</title>|built without its web page'", r"<title>weir</title>|without"),
    ]),
    ("Requests that belong together are served by one node, whichever they come to:", [
        ("for i in $(seq 9); do curl -fsS -o /dev/null -D - {url}/v1/models -H 'x-session-id: alice' |"
         " grep -i x-weir-node; done | sort | uniq -c", r"^\s*9 \S+: node-\d\s*$"),
    ]),
    ("A small load of fifty sessions, and meanwhile what the coordinator expects of it and advises (on the number of nodes\n"
     "   after six minutes), and how the nodes share it; then what is wrong, if anything is:", [
        (LOAD + " & sleep 12; {weirctl} hints; {weirctl} nodes; wait",
         r"of 12 steps of 30 s(.|\n)*openai +requests/s +[1-9](.|\n)*(node-\d .* active +\d+ +[1-9].*\n){{3}}(.|\n)*240 of 2xx"),
        ("{weirctl} doctor --over 2", r"nothing is wrong"),
    ]),
    ("A sick endpoint: one of the two behind the chats answers 500 from now on. Chats go on; after five failures its\n"
     "   circuit opens on all nodes, and five seconds later one request at a time sees whether it is well:", [
        ("curl -fsS -X POST 'http://{control}/plan?status=500' && echo", None),
        ("for i in $(seq 60); do curl -sS -o /dev/null -w '%{{http_code}} ' {url}/v1/models -H \"x-session-id: $i\"; done; echo",
         r"^(200 ){{60}}$"),
        ("{weirctl} breakers", r"\bopen\b|half-open"),
        ("curl -fsS -X POST 'http://{control}/plan' && echo     # well again", None),
        ("sleep 5; for i in $(seq 60); do curl -sS -o /dev/null {url}/v1/models -H \"x-session-id: $i\"; done; {weirctl} breakers",
         r"\A(?!(?:.|\n)*open\b)PROVIDER"),
    ]),
    ("Lose a node. Chats go on; three seconds later the others have its shards. The demo starts it again:", [
        ("kill -9 {victim}", None),
        (CHAT.replace("{more}", "") + " | jq .model", r"gpt-4o-mini"),
        ("sleep 4; {weirctl} nodes", r"(?:node-\d.*\n){{0,2}}node-3 +lost|node-3 +active"),
        ("{weirctl} events", r"node_lost node-3"),
    ]),
    ("Freeze the store. Nothing fails; the nodes go on with what they know:", [
        ("kill -STOP {redis}", None),
        ("sleep 2; {weirctl} status", r"OUT OF REACH"),
        (CHAT.replace("{more}", "") + " | jq .model", r"gpt-4o-mini"),
        ("kill -CONT {redis}", None),
        ("sleep 2; {weirctl} status", r"in contact"),
    ]),
    ("The numbers, of the node that answers:", [
        ("curl -fsS {url}/metrics | jq '.connection_pool | with_entries(select(.value | type == \"number\"))'",
         r"connections_active"),
        ("curl -fsS {url}/metrics/prometheus | grep -E '^(connection|weir_cluster)'", r"weir_cluster_nodes"),
        ("curl -fsS {url}/health/providers | jq .", r'"openai"'),
        ("curl -fsS {url}/api/alerts | jq .", r'"firing"'),
    ]),
]

SDK = """OpenAI's own client (npm install openai), pointed here by base URL alone. In a file hello.mjs, for node hello.mjs:
   import OpenAI from "openai";
   const openai = new OpenAI({{ baseURL: "{url}/v1", apiKey: "any" }});
   const stream = await openai.chat.completions.create({{
     model: "gpt-4o-mini", stream: true, messages: [{{ role: "user", content: "hello" }}] }});
   for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta?.content ?? "");"""


def lines_of(step, names):
    """(command, pattern or None) of each line, with the demo's addresses in it."""
    return [(line.format(**names), pattern and pattern.replace("{{", "{").replace("}}", "}")) for line, pattern in step[1]]


def describe(names):
    texts = [step[0].format(**names) + "\n" + "\n".join("   " + line for line, _ in lines_of(step, names)) for step in STEPS]
    texts.append(SDK.format(**names))
    return "\n\n".join(f"{number}. {text}" for number, text in enumerate(texts, 1))
