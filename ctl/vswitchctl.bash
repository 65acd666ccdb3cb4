# SPDX-License-Identifier: BSD-2-Clause
# bash completion for vswitchctl. The program knows its own commands, and the daemon its bridges and
# ports: `vswitchctl complete WORD...` prints what the last word may become, one a line.

_vswitchctl()
{
	local word=${COMP_WORDS[COMP_CWORD]} prefix= line

	# bash splits words at '=' and ':'; the program wants them whole and bash wants the rest
	local -a words=()
	local i
	for ((i = 1; i <= COMP_CWORD; i++)); do
		if [[ ${COMP_WORDS[i]} == [=:]* || ( $i -gt 1 && ${COMP_WORDS[i - 1]} == [=:] ) ]] &&
				((${#words[@]})); then
			words[-1]+=${COMP_WORDS[i]}
		else
			words+=("${COMP_WORDS[i]}")
		fi
	done
	((${#words[@]})) && [[ ${words[-1]} == *[=:]* ]] && prefix=${words[-1]%"${word#[=:]}"}

	COMPREPLY=()
	while IFS= read -r line; do
		[[ $line == "${words[-1]}"* ]] && COMPREPLY+=("${line#"$prefix"}")
	done < <("${COMP_WORDS[0]}" complete -- "${words[@]}" 2>/dev/null)
	[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
}

complete -o default -F _vswitchctl vswitchctl
