{{ aws_focus(ref('stg_aws_cur2__lines')) }}
