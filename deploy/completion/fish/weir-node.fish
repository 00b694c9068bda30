# fish completion for weir-node
complete -c weir-node -f
complete -c weir-node -r -F -s c -l config -d 'the configuration'
complete -c weir-node -l check -d 'say what is wrong with the configuration'
complete -c weir-node -l print-config -d 'show the effective configuration'
complete -c weir-node -l print-schema -d 'print the JSON Schema'
complete -c weir-node -l print-docs -d 'print the reference page of the configuration'
complete -c weir-node -l print-metrics -d 'print the reference page of the metrics'
complete -c weir-node -l print-paths -d 'print the paths that are the node’s own'
complete -c weir-node -s h -l help -d 'print a summary of the options'
complete -c weir-node -s V -l version -d 'print the version'
