# fish completion for weir-coordinator
complete -c weir-coordinator -f
complete -c weir-coordinator -r -F -s c -l config -d 'the configuration'
complete -c weir-coordinator -l check -d 'say what is wrong with the configuration'
complete -c weir-coordinator -r -F -l backtest -d 'forecast a load whose history is known'
complete -c weir-coordinator -x -l step -d 'the step of the history, seconds'
complete -c weir-coordinator -x -l horizon -d 'how far ahead, steps'
complete -c weir-coordinator -x -s o -l output -a 'table json' -d 'form of the result'
complete -c weir-coordinator -s h -l help -d 'print a summary of the options'
complete -c weir-coordinator -s V -l version -d 'print the version'
