# fish completion for weir-coordinator
complete -c weir-coordinator -f
complete -c weir-coordinator -r -F -s c -l config -d 'the configuration'
complete -c weir-coordinator -l check -d 'say what is wrong with the configuration'
complete -c weir-coordinator -s h -l help -d 'print a summary of the options'
complete -c weir-coordinator -s V -l version -d 'print the version'
